"""What is said in a simulated interview: an agent asks, severity chooses the words of the answer.

Sentences come from small templates of our own, in plain everyday English, lower case and without
punctuation. Each PHQ-8 item has a question, and its cue (positive speaks for depression) moves four
things in the answer to it alone:
  length         shorter answers (Mundt et al. 2007; Cummins et al. 2015)
  first_person   more first-person singular (Rude et al. 2004; Edwards & Holtzman 2017; Tackman et
                 al. 2019)
  negative       more words of negative emotion (Rude et al. 2004; Tackman et al. 2019)
  absolutist     more absolutist words (Al-Mosaiwi & Johnstone 2018)
Answers to neutral questions carry the mean cue at half strength, in length and first person only.
"""

import re

import numpy as np

LENGTH = -0.22              # logarithm of the number of words, per unit of the cue
# log odds of a sentence in the first person at cue 0, and per unit
FIRST_SHARE, FIRST_SLOPE = 0.2, 0.9
NEGATIVE_SHARE, NEGATIVE_SLOPE = -0.3, 1.3      # of a negative word where there could be one
ABSOLUTIST_SHARE, ABSOLUTIST_SLOPE = -0.7, 1.1
ROW = 10                    # words of an average row
SHORT = 5                   # words for which nobody makes a sentence
MOST = 2.5                  # cues beyond are cut

FIRST_PERSON = frozenset(("i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself"))
ABSOLUTIST = frozenset((        # the 19 words of Al-Mosaiwi & Johnstone (2018)
    "absolutely", "all", "always", "complete", "completely", "constant", "constantly",
    "definitely", "entire", "ever", "every", "everyone", "everything", "full", "must", "never",
    "nothing", "totally", "whole"))

# What fills a slot: with the cue, without it.
NEGATIVE_SLOTS = {
    "bad": ("awful|terrible|horrible|miserable|bad|dreadful|gloomy|bleak|painful|lousy|depressing|"
            "frustrating|unpleasant|dismal",
            "fine|good|okay|decent|alright|pleasant|normal|steady|easy|nice|comfortable|reasonable|"
            "great"),
    "sad": ("sad|lonely|anxious|worried|upset|guilty|ashamed|miserable|unhappy|nervous|frustrated|"
            "afraid|stressed|discouraged|gloomy",
            "content|cheerful|calm|relaxed|happy|glad|okay|comfortable|steady|fine|peaceful|good"),
}
ABSOLUTIST_SLOTS = {
    "often": ("always|constantly|definitely",
              "sometimes|usually|often|mostly|generally|now and then"),
    "quite": ("completely|totally|absolutely|definitely",
              "quite|fairly|rather|somewhat|kind of|a little"),
    "the": ("the entire|the whole|every", "some of the|part of the|most of the|much of the"),
    "stuff": ("everything|all of it|all of this",
              "some things|most things|a few things|one or two things"),
}
SLOTS = {name: tuple(side.split("|") for side in sides)
         for name, sides in (NEGATIVE_SLOTS | ABSOLUTIST_SLOTS).items()}
NEGATIVE = frozenset(word for name in NEGATIVE_SLOTS for word in SLOTS[name][0])

OPENERS = ("um", "well", "uh", "yeah", "so", "you know", "let's see", "oh well", "um you know",
           "that's a good question")
TAILS = ("lately", "these days", "at the moment", "this month", "since the spring",
         "during the week", "as far as that goes", "to be honest", "when it rains",
         "compared with last year", "at least at home", "more or less", "since the move",
         "at this time of the year", "if that makes sense", "and that's about it",
         "in the last two weeks or so", "as the days go by")
JOINTS = ("and", "but", "so", "and then", "also", "because", "and you know")

# item: questions; sentences in the first person; sentences without it.
ITEMS = {
    "no_interest": (
        "what do you enjoy these days|how do you like your hobbies lately|what got you "
        "excited recently",
        "i find hobbies {bad}|i'm {sad} about hobbies|my hobbies are {often} {bad}|i {often} feel "
        "{sad} when a new plan comes up|i {often} start a project and then it feels {quite} {bad} "
        "to me|my weekends of fishing feel {quite} {bad}|when my friends invite me out i'm {quite} "
        "{sad} about {stuff}|i look at my guitar {the} evening and feel {sad}|playing music is "
        "{often} {bad} for me|i watch shows {the} evening and find them {bad}|i tried painting "
        "with my cousin and i was {quite} {sad} doing it",
        "hobbies are {bad}|hobbies are {often} {bad}|fun things seem {quite} {bad}|going out is "
        "{often} {bad}|games and books seem {quite} {bad}|parties and dinners are {often} {bad} "
        "after an hour|the garden looks {quite} {bad} and the workshop too|things that used to be "
        "exciting are {quite} {bad}|a movie on {the} weekend is {bad}|puzzles and card games feel "
        "{often} {bad} now"),
    "depressed": (
        "how has your mood been|how have you been feeling lately|how are your spirits these days",
        "my mood is {bad}|i feel {quite} {sad}|my mood is {often} {bad}|i wake up and feel {quite} "
        "{sad}|i {often} feel {sad} when i sit at home|i notice that my mood is {bad} {the} "
        "morning|lately i've been {quite} {sad} about {stuff}|i'd say my spirits are {quite} "
        "{bad}|when i talk with my sister i {often} get {sad}|the mood i'm in feels {bad} {the} "
        "day|i'm {often} {sad} on the way home",
        "the mood is {bad}|spirits are {quite} {bad}|the mood is {often} {bad}|the days feel "
        "{quite} {bad} one after another|mornings are {often} {bad} in spirit|the general feeling "
        "at home is {often} {bad}|the mood gets {quite} {bad} around dinner time|the outlook on "
        "{stuff} is {bad}|it feels {bad} inside for {the} evening|people say the mood around here "
        "is {often} {bad}"),
    "sleep": (
        "how is your sleep|how well do you sleep at night|tell me about your nights",
        "my sleep is {bad}|i sleep {quite} {bad} hours|my sleep is {often} {bad}|i {often} wake up "
        "at three and feel {sad}|i lie in my bed {the} night and feel {quite} {sad}|getting to "
        "sleep is {often} {bad} for me|my nights are {quite} {bad} and i hear the clock|i go to "
        "bed at ten and i'm {often} {sad} by midnight|when i get up after a night i feel {quite} "
        "{sad}|i dream about {stuff} and wake up {sad}|i've been napping and my pillow feels "
        "{quite} {bad}",
        "sleep is {bad}|nights are {often} {bad}|sleeping is {quite} {bad}|the nights feel {quite} "
        "{bad} and long|falling asleep is {often} {bad}|waking at dawn is {often} {bad}|the bed is "
        "{quite} {bad} for {the} night|dreams about {stuff} are {bad}|the hours before the alarm "
        "are {often} {bad}|staying asleep is {quite} {bad} after midnight"),
    "tired": (
        "how is your energy|how much energy do you have during the day|how do you get "
        "through the day",
        "my energy is {bad}|i feel {sad} and slow|my energy is {often} {bad}|i drag myself around "
        "{the} day and feel {sad}|i climb the stairs and my legs feel {quite} {bad}|by noon i'm "
        "{often} {sad} and need a rest|my strength for {stuff} is {bad}|i get through my work and "
        "feel {quite} {sad}|after shopping i {often} feel {sad} and sit down|i drink coffee {the} "
        "morning and my energy stays {bad}|when i come home i'm {quite} {sad} and lie on the couch",
        "energy is {bad}|energy is {often} {bad}|the energy is {quite} {bad}|afternoons without a "
        "break are {often} {bad}|the energy for {stuff} is {bad}|getting up feels {quite} "
        "{bad}|chores are {often} {bad} on low energy|the batteries feel {quite} {bad} by "
        "noon|carrying bags {the} day is {bad}|evening strength is {often} {bad}"),
    "appetite": (
        "how is your appetite|how do you like your meals lately|tell me about eating and meals",
        "my appetite is {bad}|i eat {quite} {bad} meals|my appetite is {often} {bad}|i sit down to "
        "my dinner and feel {quite} {sad}|food {often} tastes {bad} to me|i {often} feel {sad} "
        "over my breakfast|i skip lunch or eat {the} evening and feel {sad}|my meals are {quite} "
        "{bad} and i snack on {stuff}|when i cook for my family i'm {often} {sad}|i've noticed "
        "that my taste for food is {quite} {bad}",
        "appetite is {bad}|food is {often} {bad}|meals are {quite} {bad}|lunch tastes {often} "
        "{bad}|the taste of {stuff} is {bad}|dinner feels {quite} {bad} with or without "
        "company|eating {the} evening is {bad}|breakfast is {often} {bad} and cold|cooking a meal "
        "feels {quite} {bad}|the kitchen smells {often} {bad} around noon"),
    "failure": ("how do you feel about yourself|what would you say about yourself as a person|how "
                "proud are you of yourself",
                "i'm {sad} about myself|i feel {quite} {sad} about myself|i {often} judge "
                "myself|my view of myself is {often} {bad}|i compare myself with others and feel "
                "{quite} {sad}|i look in the mirror {the} morning and feel {sad}|i {often} feel "
                "{sad} about the choices i made|my parents hoped for {stuff} and i'm {sad} about "
                "it|my school record was {quite} {bad} and i remember it|when i think of who i am "
                "i {often} get {sad}|i'd call my own record {quite} {bad}",
                "self worth is {bad}|confidence is {quite} {bad}|the self image is {often} "
                "{bad}|past choices look {quite} {bad}|the record so far is {often} {bad}|looking "
                "back on {stuff} is {bad}|being compared with others is {often} {bad}|the list of "
                "things achieved seems {quite} {bad}|thinking of past choices {the} night is "
                "{bad}|pride in what was done is {quite} {bad}"),
    "concentrating": (
        "how well can you concentrate|how is your focus when you read|how is your memory "
        "for details",
        "my focus is {bad}|i concentrate in {bad} ways|my focus is {often} {bad}|i read a page and "
        "my memory of it is {quite} {bad}|i {often} lose my place and get {sad}|when i follow the "
        "news {the} evening i feel {sad}|i try to focus on {stuff} and my head feels {bad}|i'm "
        "{often} {sad} when i fill in forms|my attention at work is {quite} {bad} after an "
        "hour|i've been writing lists and my memory is {quite} {bad}",
        "focus is {bad}|focus is {often} {bad}|attention is {quite} {bad}|reading a page feels "
        "{often} {bad}|keeping track of {stuff} is {bad}|the focus for a newspaper is {quite} "
        "{bad}|following a film {the} evening is {bad}|thinking through a form is {often} "
        "{bad}|attention to numbers is {quite} {bad} after lunch|the memory for names is "
        "{often} {bad}"),
    "moving": (
        "do you feel restless or slowed down|how do you move through the day|are you able to "
        "sit still",
        "my pace is {bad}|i move at {quite} {bad} speed|my pace is {often} {bad}|i pace around my "
        "kitchen and feel {quite} {sad}|i {often} feel {sad} when i sit still|my hands fidget "
        "{the} day and i get {sad}|i walk to the store and my steps feel {quite} {bad}|when i "
        "carry {stuff} upstairs my speed is {bad}|people tell me my movements look {often} "
        "{bad}|i've been tapping my feet and feeling {quite} {sad}",
        "sitting still is {bad}|moving is {often} {bad}|the pace is {quite} {bad}|walking feels "
        "{often} {bad} and slow|sitting through {the} meeting is {bad}|the pace of {stuff} is "
        "{bad}|moving from room to room is {quite} {bad}|restless legs are {often} {bad}|standing "
        "in line feels {quite} {bad}|the speed of walking and talking is {often} {bad}"),
}
NEUTRAL = [
    ("where are you from originally",
     "i'm from ohio|i grew up near a lake|my family lived in a small town up north|i came here "
     "from texas with my brother|i was born on the coast and my school was near the harbor|my "
     "street had a bakery and i went there on sundays",
     "ohio originally|from a small town|a town near a lake up north|the place had one main street "
     "and two schools|it was a quiet area with farms and a river|there was a harbor with boats and "
     "a long beach"),
    ("how do you like living in this city",
     "i like the weather|i live near the park|my apartment is close to the bus line|i walk to the "
     "market and buy fruit there|i know my neighbors and i see them on the stairs|i drive to the "
     "beach with my car in summer",
     "the weather is warm|traffic is slow|there are many parks and museums here|the bus takes "
     "about an hour to downtown|the buildings are tall and the streets are wide|the market on the "
     "corner has fruit and flowers"),
    ("what do you do for work",
     "i drive a truck|i work in an office|my job is in a warehouse by the airport|i worked in a "
     "shop and then i changed to catering|i teach at my old school two days a week|i fix computers "
     "for my uncle and his company",
     "office work|it's retail work|the shop sells shoes and bags|the office has about twenty "
     "people in it|the work is mostly phone calls and letters|deliveries start at seven and end "
     "around four"),
    ("how do you like travelling",
     "i like trains|i flew to chicago|i took a bus to the mountains with my cousin|i went to "
     "mexico and i saw the old temples|my last trip was to the desert in a van|i packed my bag and "
     "i took the first train",
     "trains are quicker|a trip to chicago|the mountains are about three hours away by car|the "
     "flight had a stop in denver and one in phoenix|the hotel was near the station and had a "
     "roof|there were many people on the boat that day"),
    ("what did you study at school",
     "i studied history|i took biology|my major was business with some spanish|i went to a college "
     "that my aunt recommended|i finished my degree and then i moved|i learned to draw from my art "
     "teacher", "history and art|mostly biology|the classes were large and in the morning|the "
                "college was near the old stadium|business and accounting with a bit of "
                "spanish|the library had five floors and a cafe"),
    ("tell me about your family",
     "i have two brothers|my sister is older|my parents live about an hour from me|i call my "
     "mother on sundays after lunch|my grandfather came here by ship and i have his watch|i share "
     "a house with my cousin and his dog",
     "two brothers|a large family|the parents live about an hour away|there are cousins in texas "
     "and in oregon|the family meets in july at the lake|a dog and two cats live in the house"),
    ("what is the weather like where you live",
     "i like the sun|i wear a coat|i carry my umbrella from november on|my windows face south so i "
     "get the sun|i sit on my balcony when it's warm outside|i saw snow last winter when i visited "
     "my aunt", "sunny and warm|it rains some|the winters are mild and the wind is strong|fog "
                "comes in from the sea around eight|july is hot and december is cool|there was "
                "snow on the hills in january"),
]
FRAGMENTS = (("i'm {sad}", "i feel {sad}", "i'm {quite} {sad}", "i {often} feel {sad}"),
             ("{bad}", "{quite} {bad}", "{often} {bad}", "it's {quite} {bad}"))
GREETING = "hi i'm ellie thanks for coming in today"
FAREWELL = "okay i think that was it thanks for talking with me"
NODS = ("", "", "okay", "i see", "thanks", "mhm", "right")


def kinds(words):
    """Which words are of a kind that severity moves: dict kind -> list of indices into words."""
    return {name: [i for i, word in enumerate(words) if word in those]
            for name, those in (("first_person", FIRST_PERSON), ("negative", NEGATIVE),
                                ("absolutist", ABSOLUTIST))}


def syllables(words):
    """About how many syllables: groups of vowels, a silent e at the end left out."""
    return sum(max(1, len(re.findall("[aeiouy]+", word))
                   - (word.endswith("e") and not word.endswith("le"))) for word in words)


def happens(share, slope, cue, rng):
    """Whether a cue shows this time. share, slope: log odds at cue 0 and per unit."""
    return rng.random() < 1 / (1 + np.exp(-share - slope * cue))


def fill(template, cue, rng):
    """A template with a word in every slot: list of words."""
    def slot(match):
        name = match[1]
        odds = ((NEGATIVE_SHARE, NEGATIVE_SLOPE) if name in NEGATIVE_SLOTS
                else (ABSOLUTIST_SHARE, ABSOLUTIST_SLOPE))
        return str(rng.choice(SLOTS[name][0 if happens(*odds, cue, rng) else 1]))

    return re.sub(r"\{(\w+)\}", slot, template).split()


def row(sentences, length, cue, rng):
    """One turn of about `length` words.

    Parameters
    ----------
    sentences : pair of lists, in the first person and without it
        Used ones go.
    length : int
    cue : float
    rng : numpy Generator

    Returns
    -------
    list of words
    """
    words = []
    while True:
        pool = sentences[0 if happens(FIRST_SHARE, FIRST_SLOPE, cue, rng) else 1]
        missing = length - len(words) - bool(words)
        few = sorted(rng.permutation(len(pool))[:3],
                     key=lambda i: abs(len(pool[i].split()) - missing))
        template = pool[few[0]]
        if len(pool) > 3:
            pool.remove(template)
        words += (str(rng.choice(JOINTS)).split() if words else []) + fill(template, cue, rng)
        missing = length - len(words)
        if missing < 4:
            break
    for extra, front in ((OPENERS, True), (TAILS, False)):
        fitting = [some for some in extra if len(some.split()) <= missing]
        if fitting and rng.random() < 0.7:
            some = str(rng.choice(fitting)).split()
            words = some + words if front else words + some
            missing -= len(some)
    return words


def answer(sentences, length, cue, rng):
    """Turns of about `length` words together, one to three of them: list of lists of words."""
    pools = tuple(list(some) for some in (FRAGMENTS if length < SHORT
                                          and "{bad}" in sentences[1][0] else sentences))
    rows = int(np.clip(round(length / ROW), 1, 3))
    return [row(pools, length / rows, cue, rng) for _ in range(rows)]


def interview(cues, words, neutral, rng):
    """The turns of one interview, in order.

    Parameters
    ----------
    cues : mapping of the eight items to latent values
    words : float
        That the participant says, about.
    neutral : int
        Number of neutral questions.
    rng : numpy Generator

    Returns
    -------
    list of dict
        speaker (Ellie or Participant), topic (an item, neutral, or "" for the agent's small talk),
        words.
    """
    cues = {name: float(np.clip(cues[name], -MOST, MOST)) for name in ITEMS}
    half = np.mean(list(cues.values())) / 2
    asked = [("neutral", question, sentences, half) for question, *sentences in
             (NEUTRAL[i] for i in rng.permutation(len(NEUTRAL))[:neutral])]
    asked += [(name, str(rng.choice(questions.split("|"))), sentences, cues[name])
              for name, (questions, *sentences) in ITEMS.items()]
    first = asked[:1] if neutral else []        # the agent starts with something harmless
    asked = first + [asked[len(first):][i] for i in rng.permutation(len(asked) - len(first))]
    lengths = np.exp([LENGTH * cue for *_, cue in asked])
    lengths *= words / lengths.sum()
    turns = [{"speaker": "Ellie", "topic": "", "words": GREETING.split()}]
    for (topic, question, sentences, cue), length in zip(asked, lengths, strict=True):
        turns.append({"speaker": "Ellie", "topic": topic,
                      "words": f"{rng.choice(NODS)} {question}".split()})
        turns += [{"speaker": "Participant", "topic": topic, "words": words_of_turn}
                  for words_of_turn in answer([some.split("|") for some in sentences],
                                              length, cue, rng)]
    return [*turns, {"speaker": "Ellie", "topic": "", "words": FAREWELL.split()}]


def talkativeness(cues):
    """Mean over the items of what severity does to the length of answers: 1 at cue 0."""
    return float(np.mean([np.exp(LENGTH * np.clip(cues[name], -MOST, MOST)) for name in ITEMS]))
