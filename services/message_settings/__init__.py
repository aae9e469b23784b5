"""Message Settings: which number belongs to which carrier, extensions and e-mail addresses.

One JSON document that all processes read, kept by a ``Source``: a file (``file``), or a row of a
PostgreSQL database that several machines share. ``fields`` declares the fields of an entry,
``schema`` and ``plain_entry`` check them, ``reader`` reads the document, ``document`` has its
layout, ``slices`` lets other threads run meanwhile, ``settings`` holds the settings in force,
``edits`` changes several entries, ``template_edits`` a template, ``csv_format`` and ``csv_import``
exchange entries with spreadsheets, ``form_values`` converts them from and to texts, ``search``
finds entries.
"""

from services.message_settings.fields import EXTENSION, NumberSetting
from services.message_settings.file import SettingsFile
from services.message_settings.schema import MessageSettingsSchema
from services.message_settings.settings import MessageSettings
from services.message_settings.source import Source

__all__ = [
    "EXTENSION",
    "MessageSettings",
    "MessageSettingsSchema",
    "NumberSetting",
    "SettingsFile",
    "Source",
]
