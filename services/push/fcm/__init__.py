"""Firebase Cloud Messaging (FCM) push channel."""
