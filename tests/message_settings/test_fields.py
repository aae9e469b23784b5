"""Declarations of the fields of Message Settings, and that everything follows from them.

A process of its own declares more fields before any other module of the service is imported, as an
edit of ``services/message_settings/fields.py`` would; so this module imports nothing of it.
"""

import importlib
import importlib.util
import json
import multiprocessing
import sys
from base64 import b64encode
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

NUMBER = "+12025550100"
PASSWORD = "a good password"
MODULE = "services.message_settings.fields"
SOURCE = Path(__file__).parents[2] / "services" / "message_settings" / "fields.py"
VALUES = {"newtext": "Ring twice", "newlist": ["a", "b"], "newname": None, "newflag": False}


def declare_more_fields() -> None:
    """One more field of each kind that an entry may have several of."""
    spec = importlib.util.spec_from_file_location(MODULE, SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)

    @dataclass(frozen=True, slots=True)
    class NumberSetting(module.NumberSetting):  # type: ignore[misc,name-defined]
        newtext: str = ""
        newlist: tuple[str, ...] = ()
        newname: str | None = None
        newflag: bool = True

    def field(name: str, kind: str, option: str, **more: Any) -> Any:
        texts = {"label": f"The {name}", "short_label": name.title(), "column": f"{name} column"}
        return module.Field(name, module.FieldType(kind), option=option, **texts, **more)

    module.NumberSetting = NumberSetting
    module.FIELDS = (
        *module.FIELDS,
        field(
            "newtext", "text", "--newtext", option_help="What else.", max_length=20, hint="A hint."
        ),
        field("newlist", "list", "--newlist", plural="newlist", description="The newlist"),
        field("newname", "optional", "--newname"),
        field("newflag", "flag", "--newflag/--no-newflag"),
    )


def use_more_fields(folder: Path) -> dict[str, Any]:
    """What each side of the service says about the new fields."""
    declare_more_fields()
    from app import create_app  # noqa: PLC0415 - see the module's docstring

    (folder / "message_settings.json").write_text(
        json.dumps({"numbers": [{"number": NUMBER, "carrier": "sandbox", "newname": "q"}]})
    )
    app = create_app({"APP_ENV": "local", "ADMIN_PASSWORD": PASSWORD, "STORAGE_PATH": str(folder)})
    client, runner = app.test_client(), app.test_cli_runner()

    def flask(*arguments: str) -> str:
        return runner.invoke(args=["settings", *arguments]).output

    said = {"refused": flask("set", NUMBER, "--newtext", "x" * 21)}
    options = ("--newtext", "Ring twice", "--newlist", "a", "--newlist", "b", "--newname", "")
    said |= {"set": flask("set", NUMBER, *options, "--no-newflag"), "help": flask("set", "--help")}
    said |= {"list": flask("list"), "found": flask("list", "--search", "twice")}
    said |= {"json": flask("list", "--json"), "schema": flask("schema")}
    flask("export", "--csv", str(folder / "a.csv"))
    said["csv"] = (folder / "a.csv").read_text("utf-8-sig")
    said["import"] = flask("import", "--csv", "--json", str(folder / "a.csv"))
    client.post("/admin/sign-in", data={"password": PASSWORD})
    said["form"] = client.get(f"/admin/message-settings/{NUMBER}").text
    key = b64encode(f"admin:{PASSWORD}".encode()).decode()
    said["api"] = client.put(
        f"/api/v1/message-settings/{NUMBER}",
        json={"carrier": "sandbox", **VALUES},
        headers={"Authorization": f"Basic {key}"},
    ).text
    said["openapi"] = client.get("/api/v1/openapi.json").text
    app.extensions["gateway"].close()
    return said


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("fields")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(use_more_fields, folder).result()


def test_the_command_sets_and_lists_a_new_field(said: dict[str, str]) -> None:
    assert "newtext: Send at most 20 characters." in said["refused"]
    assert said["set"].splitlines()[-4:] == [
        "Newtext:       Ring twice",
        "Newlist:       a, b",
        "Newflag:       no",
        "Note: Nobody gets this number's messages yet: give it an --extension or an --email.",
    ]
    assert "--newtext TEXT" in said["help"]
    assert "What else." in said["help"]
    assert "Remove all newlist." in said["help"]
    assert "--newflag / --no-newflag" in said["help"]
    assert all(name in said["list"] for name in ("NEWTEXT", "NEWLIST", "NEWNAME", "NEWFLAG"))
    assert NUMBER in said["found"]


def test_the_document_and_its_json_schema_have_a_new_field(said: dict[str, str]) -> None:
    (entry,) = json.loads(said["json"])["numbers"]
    assert {name: entry[name] for name in VALUES} == VALUES
    fields = json.loads(said["schema"])["$defs"]["NumberSetting"]["properties"]
    assert fields["newtext"] == {"type": "string", "default": "", "maxLength": 20}
    assert fields["newlist"]["description"] == "The newlist"
    assert fields["newlist"]["items"] == {"type": "string"}
    assert fields["newname"] == {"type": ["string", "null"], "default": None}
    assert fields["newflag"] == {"type": "boolean", "default": True}


def test_a_csv_file_has_a_column_of_a_new_field(said: dict[str, str]) -> None:
    titles, row = said["csv"].splitlines()
    assert titles.endswith(",newtext column,newlist column,newname column,newflag column")
    assert row.endswith(',Ring twice,"a, b",,no')
    assert json.loads(said["import"])["unchanged"] == 1


def test_the_form_has_an_input_for_a_new_field(said: dict[str, str]) -> None:
    form = said["form"]
    assert '<label for="f-newtext">The newtext</label>' in form
    assert 'name="newtext" type="text" value="Ring twice"' in form
    assert '<p class="hint" id="f-newtext-hint">A hint.</p>' in form
    assert 'name="newlist" type="text" value="a, b"' in form
    assert '<input type="checkbox" id="f-newflag" name="newflag" value="yes"><label' in form


def test_the_api_takes_and_shows_a_new_field(said: dict[str, str]) -> None:
    entry = json.loads(said["api"])
    assert {name: entry[name] for name in VALUES} == VALUES
    schemas = json.loads(said["openapi"])["components"]["schemas"]
    assert schemas["Entry"]["properties"]["newlist"]["description"] == "The newlist"
    assert set(VALUES) <= set(schemas["EntryTold"]["required"])


def test_the_declarations_are_those_of_an_entry() -> None:
    csv_format = importlib.import_module("services.message_settings.csv_format")
    declared = importlib.import_module(MODULE)

    names = [field.name for field in fields(declared.NumberSetting)]
    assert [field.name for field in declared.FIELDS] == names
    titles = [title for field in declared.FIELDS for title in field.other_columns]
    assert len(csv_format.TITLES) == len(titles) + len(declared.FIELDS), (
        "a CSV title belongs to one field"
    )
    assert all(title.isalpha() and title.islower() for title in titles)
