"""What `dbxdec init` writes: pure functions from the text of a file to that text with what is missing.

Texts are edited by inserting at places found in them, and nothing else of a person's file moves: no parser's round trip
keeps every comment, quote and line end. Whatever is inserted is parsed again and compared with what was meant; an edit
that does not come out so is not made, but said as lines to add by hand.
"""
