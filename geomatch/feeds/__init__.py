"""Position feeds: what other people's devices and systems send, read into the model.

A parser is a plain function, one module a format: it takes the bytes of one message (a datagram, an MQTT payload, a
request body, a line) and a `Context`, and gives a `Parsed`. It reads no clock, does no input or output, never raises
whatever the bytes are, and never repeats a position in what it says of a fault. What one message carries of several
reports is read report by report: a bad one becomes a fault, and the rest holds.

`formats` names the parsers, `intake` takes messages in, counts them and hands on what they say, and `transports` are
the ways messages come besides HTTP.
"""
