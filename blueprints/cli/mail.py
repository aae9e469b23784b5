"""``flask mail``: the check of the mail server and the mailbox, and the listener for answers."""

import asyncio
import signal

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import Group, json_option, report_findings
from services.core.commands import flask_command
from services.delivery.smtp_listener import serve
from services.operations.credential_checks import MAILBOX, SERVER

group = Group("mail", help="E-mail: whether it is set up well, and answers by SMTP.")


@group.command()
@json_option
def check(as_json: bool) -> None:
    """Log in at the mail server, and open the mailbox of the answers.

    No mail is sent, and none is read. Exit code 1 if anything must be fixed.
    """
    found = parts().credential_checks.mail()
    if not found and not as_json:
        click.echo(f"E-mail is off. See: {flask_command('config check')}")
    report_findings(found, {SERVER: "Mail server", MAILBOX: "Mailbox"}, as_json=as_json)


@group.command()
def listen() -> None:
    """Take answers to mails in by SMTP, at the address of MAIL_ANSWERS_LISTEN.

    Your mail server hands over what comes to MAIL_ANSWERS_ADDRESS, see docs/email.md. Ctrl-C or
    SIGTERM ends it.
    """
    asked, replies = parts().environment.mail_replies, parts().mail_replies
    if asked.listen is None or replies is None:
        raise click.ClickException(
            "Set MAIL_ANSWERS_ADDRESS and MAIL_ANSWERS_LISTEN in .env first."
        )
    click.echo(f"Answers to mails are taken at {asked.listen}. Ctrl-C ends it.", err=True)

    async def stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()

    try:
        asyncio.run(serve(replies, asked.listen, stopped))
    except OSError as error:
        reason = f"Nothing can listen at {asked.listen}: {error.strerror}."
        raise click.ClickException(f"{reason} Correct MAIL_ANSWERS_LISTEN in .env.") from None
    finally:
        parts().close()
