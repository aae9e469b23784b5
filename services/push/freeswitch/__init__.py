"""Push channel for SIP phones by FreeSWITCH's event socket."""
