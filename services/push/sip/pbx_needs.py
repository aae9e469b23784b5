"""What each PBX needs so that texts of its phones come to the account, as one line each."""

PBX_NEEDS = {
    "FreePBX, Asterisk": "message_context at the extensions and ten lines of dialplan; the account "
    "is identified by auth_username. Asterisk answers 202: it does not say that a phone is off.",
    "FusionPBX, FS PBX": "mod_sms, a chatplan that sends texts to numbers to the account, and "
    "auth-messages in the SIP profile.",
    "3CX": "an extension for Textbridge, with SIP_AUTH_USERNAME; the 3CX apps do not use SIP for "
    "texts.",
    "PortSIP": "an extension for Textbridge, and a rule that sends texts to numbers to it.",
    "Kamailio": "a route for MESSAGE that checks who writes, removes X-SMS-From and sets it anew.",
}
