def token() -> str:
    return dbutils.secrets.get("shop", "token")
