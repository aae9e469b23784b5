"""Ringotel push channel: texts as chats in the Ringotel app."""
