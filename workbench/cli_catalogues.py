"""The `kilotoken prices` and `kilotoken devices` commands: argv in, the catalogues do the work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from workbench.terminal import JsonFlag, out, print_json

Filter = Annotated[
    str | None, typer.Argument(metavar="FILTER", help="Only rows that say this: a name, a region, a source.")
]


def prices(word: Filter = None, as_json: JsonFlag = False) -> None:
    """List dated prices: of device hours, electricity, buildings and APIs, with region, commitment, basis and source."""
    from workbench.catalogue_document import prices_document
    from workbench.catalogue_files import PRICES, user_file, user_path
    from workbench.catalogue_tables import prices_table
    from workbench.price_catalogue import load_prices

    today = datetime.now(UTC).date()
    found = load_prices(user_file(PRICES), today=today)
    document = prices_document(found, word, today=today, path=user_path(PRICES))
    if as_json:
        print_json(document)
    else:
        out.print(prices_table(document, width=out.width))


def devices(word: Filter = None, as_json: JsonFlag = False) -> None:
    """List devices as their makers state them: memory, bandwidth, dense operations by format, link, power."""
    from workbench.catalogue_document import devices_document
    from workbench.catalogue_files import DEVICES, user_file, user_path
    from workbench.catalogue_tables import devices_table
    from workbench.device_catalogue import load_devices

    document = devices_document(load_devices(user_file(DEVICES)), word, path=user_path(DEVICES))
    if as_json:
        print_json(document)
    else:
        out.print(devices_table(document))
