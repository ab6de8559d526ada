"""Imported once by a program that a zygote has just made: see _zygote._rehearse."""


def handler(event, _context):
    return event
