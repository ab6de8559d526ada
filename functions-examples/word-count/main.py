import re
from collections import Counter
from pathlib import Path

TEXT = Path(__file__).parent / "text" / "alice.txt"
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")


def count(text):
    return Counter(WORD.findall(text.lower()))


# Read once when the instance is made; every call of a warm instance finds it ready.
WORDS = count(TEXT.read_text(encoding="utf-8"))


def handler(event, context):
    """`{"top": 10}` for the most frequent words of the book, `{"text": "..."}` to count another text."""
    event = event or {}
    top = event.get("top", 10)
    if not isinstance(top, int) or not 1 <= top <= 1000:
        raise ValueError("top must be a whole number from 1 to 1000")
    words = count(event["text"]) if "text" in event else WORDS
    return {
        "words": words.total(),
        "different": len(words),
        "top": [{"word": word, "count": number} for word, number in words.most_common(top)],
    }
