"""The jobs of this repository; dbxdec imports every module of this package."""
