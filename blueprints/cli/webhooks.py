"""``flask webhooks``: the addresses to paste at the carriers."""

import click

from blueprints.cli.terminal import command, document, gateway, json_option, note


@command("webhooks")
@json_option
def webhooks(as_json: bool) -> None:
    """Print each carrier's webhook address, ready to paste.

    The token in an address is its password: show it to the carrier only.
    """
    carriers = list(gateway().providers.values())
    if as_json:
        document(
            [
                {"carrier": c.name, "title": c.title, "url": c.webhook_url, "hint": c.webhook_hint}
                for c in carriers
            ]
        )
        return
    for carrier in carriers:
        click.echo(f"{carrier.title}\n  {carrier.webhook_url}")
        if carrier.webhook_hint:
            click.echo(f"  {carrier.webhook_hint}")
    if not carriers:
        click.echo("No carrier is configured. See: flask config check")
    elif gateway().environment.service.app_url is None:
        note("APP_URL is empty, so these addresses work on this machine only.")
