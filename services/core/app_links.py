"""Links into the phone app."""


def conversation_link(app_url: str, conversation_id: str) -> str:
    """The link that opens a conversation in the phone app at ``app_url``.

    It holds no secret: only a paired device shows the conversation.
    """
    return f"{app_url}/phone/#/c/{conversation_id}"
