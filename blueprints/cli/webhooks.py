"""``flask webhooks``: the webhook addresses to paste at carriers and apps."""

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, json_option, note
from blueprints.ringotel.webhook import webhook_url
from services.core.commands import flask_command
from services.push.ringotel.channel import Ringotel


@command("webhooks")
@json_option
def webhooks(as_json: bool) -> None:
    """Print the webhook address of each carrier and app, ready to paste.

    What is secret in an address is its password: show it to that carrier or app only.
    """
    carriers = list(parts().providers.values())
    found = [(c.name, c.title, c.webhook_url, c.webhook_hint) for c in carriers]
    if Ringotel.name in parts().channels:
        url = webhook_url(parts().environment)
        found.append((Ringotel.name, Ringotel.title, url, Ringotel.webhook_hint))
    if as_json:
        names = ("carrier", "title", "url", "hint")
        document([dict(zip(names, each, strict=True)) for each in found])
        return
    for _, title, url, hint in found:
        click.echo(f"{title}\n  {url}")
        if hint:
            click.echo(f"  {hint}")
    if not carriers:
        click.echo(f"No carrier is configured. See: {flask_command('config check')}")
    elif parts().environment.service.app_url is None:
        note("APP_URL is empty, so these addresses work on this machine only.")
