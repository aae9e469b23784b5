"""``flask templates``: lists, adds, changes and removes message templates."""

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import Group, document, escaped, json_option, note, short, table
from services.core.commands import flask_command
from services.message_settings.template_edits import put_template, remove_templates

group = Group("templates", help="Message templates: texts that apps offer to write.")
NONE_YET = "No template yet. Add one: " + flask_command(
    "templates set Welcome --text 'Hello {contact}, how can we help?'"
)


@group.command("list")
@json_option
def show(as_json: bool) -> None:
    """List the templates in the order in which apps offer them."""
    settings = parts().settings
    templates, problem = settings.templates, settings.problem
    if problem is not None:
        note(f"{problem} These are the last good templates.")
    if as_json:
        document({"templates": settings.sections.get("templates", [])})
        return
    table(
        ("NAME", "EXTENSIONS", "TEXT"),
        [(one.name, ", ".join(one.extensions) or "all", short(one.text)) for one in templates],
        NONE_YET,
    )


@group.command("set")
@click.argument("name")
@click.option("--text", help="The text, with fields {contact}, {extension}, {number}.")
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    help="Only for this extension, mask (2??) or range (201-220); once for each.",
)
@click.option("--for-all", is_flag=True, help="For all extensions.")
def put(name: str, text: str | None, extensions: tuple[str, ...], for_all: bool) -> None:
    """Add the template NAME, or change what is given of the one that is there."""
    settings = parts().settings
    if for_all and extensions:
        raise click.UsageError("Either name extensions or say --for-all, not both.")
    seen = settings.generation
    known = {one.name: one for one in settings.templates}.get(name)
    if known is None and text is None:
        raise click.UsageError("This template is new: write its --text.")
    kept = known.extensions if known is not None and not for_all else ()
    template = {
        "name": name,
        "text": known.text if text is None and known is not None else text,
        "extensions": list(extensions or kept),
    }
    put_template(settings, template, name if known is not None else None, seen)
    click.echo(f"The template “{escaped(name)}” was {'changed' if known else 'added'}.")


@group.command()
@click.argument("names", nargs=-1, required=True)
def remove(names: tuple[str, ...]) -> None:
    """Remove templates: all of these at once, or none."""
    settings = parts().settings
    remove_templates(settings, names, settings.generation)
    click.echo("The template was removed." if len(names) == 1 else f"{len(names)} were removed.")
