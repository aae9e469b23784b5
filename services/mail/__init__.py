"""Outgoing e-mail: sends text messages to e-mail addresses by SMTP."""
