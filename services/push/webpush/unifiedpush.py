"""UnifiedPush: Android apps without Google, by the push server that the phone's owner chose.

https://unifiedpush.org/developers/spec/: it is Web Push to a server of anybody's. ntfy answers 507
for a topic without a subscriber, which passes: https://docs.ntfy.sh/publish/#unifiedpush.
"""

from services.push.webpush.channel import WebPush


class UnifiedPush(WebPush):
    """Web Push to any server in the internet, and to those the operator allows beside them."""

    name = "unifiedpush"
    title = "UnifiedPush"
    clears = True  # the app decides what it shows; a browser must show something for every push

    def _admits(self, endpoint: str) -> bool:
        return endpoint.startswith("https://") or self._around.places.are_allowed(endpoint)

    def _remedy(self) -> str:
        return "Send an https address. One without TLS has to be allowed in PUSH_HOSTS."
