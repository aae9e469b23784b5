"""Schemas of message templates: offered to an extension, and edited by the operator."""

from marshmallow import fields, validate

from blueprints.api.fields import MOST_TYPED, Words, id_field
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema
from services.message_settings.rules_schema import MOST_TEMPLATES


class TemplatesQuery(RequestSchema):
    """For whom they are filled in: a conversation, or what may become one."""

    conversation_id = id_field()
    to = Words(
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "A number, written any usual way"},
    )
    from_ = Words(
        data_key="from",
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "A number of the extension; left out: its default number"},
    )


class TemplateToldSchema(ResponseSchema):
    """A template of the extension."""

    name = fields.String()
    text = fields.String(metadata={"description": "As it is kept, with fields such as {contact}"})
    filled = fields.String(metadata={"description": "What to put into the field for the text"})


class TemplateListSchema(ResponseSchema):
    """The templates of the extension, in the order in which they are offered."""

    items = fields.List(fields.Nested(TemplateToldSchema))


class TemplatesSchema(RequestSchema):
    """All templates; ``MessageSettings.put_templates`` checks each of them."""

    templates = fields.List(
        fields.Dict(),
        required=True,
        validate=validate.Length(max=MOST_TEMPLATES),
        metadata={"description": "As in docs/message_settings.schema.json"},
    )


class TemplateSettingSchema(ResponseSchema):
    """A template as it stands in Message Settings; without ``extensions`` it is for all."""

    name = fields.String()
    text = fields.String()
    extensions = fields.List(fields.String())


class TemplatesToldSchema(ResponseSchema):
    """All templates."""

    templates = fields.List(fields.Nested(TemplateSettingSchema))
