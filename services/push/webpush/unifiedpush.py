"""UnifiedPush channel: Android apps without Google, by a push server that the user chooses.

Source: https://unifiedpush.org/developers/spec/. The protocol is Web Push. ntfy answers 507 while a
topic has no subscriber, which is temporary: https://docs.ntfy.sh/publish/#unifiedpush.
"""

from services.push.webpush.channel import WebPush


class UnifiedPush(WebPush):
    """Web Push to any public https server, and to the servers that the operator allows."""

    name = "unifiedpush"
    title = "UnifiedPush"
    wants_read_events = True  # unlike browsers, which must show a notification for every push

    def _allows(self, endpoint: str) -> bool:
        return endpoint.startswith("https://") or self._context.host_policy.allows(endpoint)

    def _host_remedy(self) -> str:
        return "Send an https address. One without TLS has to be allowed in PUSH_HOSTS."
