"""Sentences made to break attention: very long or short, repeated, odd."""

from __future__ import annotations

_LIST = "apples, pears, plums, figs, dates, nuts, bread, milk, tea, salt and rice"

HARD_SENTENCES = (
    # One letter, one word.
    "a",
    "I.",
    "Oh!",
    "No.",
    "Yes?",
    "Seven.",
    "Stop!",
    "Go",
    # Repeated words.
    "No, no, no, no, no.",
    "Very very very very good.",
    "Row, row, row the boat.",
    "The cat saw the cat that saw the cat.",
    "one one one one one one one one",
    "Round and round and round and round it went.",
    "He said that that that that she wrote was wrong.",
    "bye bye bye bye bye bye bye bye bye bye",
    "Two, two, two, three, three, three.",
    "never, never, never, never, never give in",
    # Numbers.
    "1234567890",
    "In 1999 there were 1,000,001 of them.",
    "It costs $19.99, not $1,999.",
    "Call 0, 0, 7, then 9, 1, 1.",
    "The 21st, the 22nd and the 23rd.",
    "3.14159",
    "Chapter 12, page 345, line 6.",
    "8 8 8 8 8 8 8 8",
    "He was born on July 4, 1976.",
    "99 percent of 100.",
    # Capitals.
    "THE OLD MAN CLOSED THE DOOR.",
    "STOP THAT NOW!",
    "PLEASE DO NOT OPEN THE WINDOW.",
    "A B C D E F G",
    "WE SAW FIVE BIRDS IN THE GARDEN.",
    "ALL OF IT. EVERY BIT OF IT.",
    # Odd punctuation.
    "Well... yes... no... maybe.",
    "What?! Now?! Here?!",
    "So, so, so: so; so, so.",
    "the end , the very end .",
    "Wait - wait - wait - I see it.",
    "!!! Help !!!",
    "He (the old one) left; she (the young one) stayed.",
    "mother-in-law, father-in-law, sister-in-law",
    "it's, isn't, won't, can't, didn't",
    "...and then; nothing.",
    # Rare spellings.
    "Rhythm, rhyme, sphinx, lynx and onyx.",
    "Strength through length, depth and breadth.",
    "Queue, quay, cue, key.",
    "Zzz, hmm, shh, brr.",
    "Psychology, pneumonia, knight, gnome.",
    "The sixth sick sheep is sleeping.",
    # Very long.
    f"We bought {_LIST}, and then we went home, and then we sat down to eat.",
    f"First {_LIST}; second {_LIST}; and third {_LIST}.",
    "The man who lived in the house that stood on the hill behind the river near the "
    "old town gave the boy who came every day a letter for the woman who sold fish.",
    "I know that you know that I know that you know that we all know what they know.",
    "When the rain stopped and the sun came out, the children ran into the garden, "
    "and the dog ran after them, and the cat sat by the door and watched them play "
    "until the evening came and their mother called them in for supper.",
    "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, "
    "thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen, twenty.",
    "He walked and walked and walked and walked and walked and walked and walked and "
    "walked until he could walk no more.",
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, and then Monday, "
    "Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday again.",
    "She sells the green box to the man with the red hat, the red box to the man with "
    "the green hat, and the blue box to the man with no hat at all.",
    "It was late, it was dark, it was cold, it was wet, it was far, and it was the "
    "only road there was, so we took it, slowly, one after the other, without a word.",
)
"""Sixty texts on which synthesisers skip, repeat, babble or do not stop."""
