"""The ARMS wire format, pure: bytes to values and back (arms-protocol.md).

`ids` names and keys · `framing` HTTP and tunnel chunks · `xml` text to a tree · `messages` the typed values ·
`rules` what we never send · `location` and `heartbeat` the two formats that are not XML.
"""
