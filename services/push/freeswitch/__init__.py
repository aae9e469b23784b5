"""FreeSWITCH push channel: SIP MESSAGE to and from phones, by the event socket."""
