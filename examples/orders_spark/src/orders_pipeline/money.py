"""Currencies of countries, by the names that TPC-H has for them."""

from __future__ import annotations

from babel import Locale
from babel.numbers import get_territory_currencies

_OTHER_NAMES = {"RUSSIA": "RU", "UNITED STATES": "US", "UNITED KINGDOM": "GB", "VIETNAM": "VN"}


def currency_of(nation: str) -> str:
    """The currency of a nation such as "FRANCE", as ISO 4217 spells it."""
    territories = Locale("en").territories
    codes = {name.upper(): code for code, name in territories.items() if len(code) == 2 and code.isalpha()}
    return str(get_territory_currencies(_OTHER_NAMES.get(nation) or codes[nation])[-1])
