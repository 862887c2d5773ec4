"""A greeting, thanks, a goodbye, or who is there: what no document answers. It is known word for word, so that a
message that says anything beside it is a question like any other; so is "OK", which may answer something.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from backend.bots.models import Strictness
from backend.conversations.answers import concluding
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.stopping import before_stop
from backend.conversations.answers.turns import Turn
from backend.conversations.models import AnswerState

FINISH_REASON = "small_talk"
KEYLESS = "local:"
LONGEST = 12
"""Words: a longer message is not read for it."""

Kind = Literal["greeting", "about", "thanks", "goodbye"]
_WORD = re.compile(r"\w+")
_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Talk:
    language: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Replies:
    """`about` is said by {name}."""

    greeting: str
    about: str
    thanks: str
    goodbye: str


_REPLIES = {
    "en": _Replies("Hello!", "I am {name} and answer questions from my documents.", "You are welcome.", "Goodbye!"),
    "de": _Replies(
        "Hallo!", "Ich bin {name} und beantworte Fragen aus meinen Dokumenten.", "Gern.", "Auf Wiedersehen!"
    ),
    "fr": _Replies(
        "Bonjour !", "Je suis {name} et je réponds aux questions à partir de mes documents.", "De rien.", "Au revoir !"
    ),
    "es": _Replies("¡Hola!", "Soy {name} y respondo preguntas a partir de mis documentos.", "De nada.", "¡Adiós!"),
    "it": _Replies("Ciao!", "Sono {name} e rispondo alle domande dai miei documenti.", "Prego.", "Arrivederci!"),
    "pt": _Replies("Olá!", "Sou {name} e respondo a perguntas a partir dos meus documentos.", "De nada.", "Até logo!"),
    "nl": _Replies("Hallo!", "Ik ben {name} en beantwoord vragen uit mijn documenten.", "Graag gedaan.", "Tot ziens!"),
    "ru": _Replies(
        "Здравствуйте!", "Я {name} и отвечаю на вопросы по своим документам.", "Пожалуйста.", "До свидания!"
    ),
    "ar": _Replies("مرحبا!", "أنا {name} وأجيب عن الأسئلة من مستنداتي.", "عفوا.", "مع السلامة!"),
    "hi": _Replies("नमस्ते!", "मैं {name} हूँ और अपने दस्तावेज़ों से सवालों के जवाब देता हूँ।", "आपका स्वागत है।", "अलविदा!"),
    "zh": _Replies("你好！", "我是{name}，根据我的文档回答问题。", "不客气。", "再见！"),
    "ja": _Replies(
        "こんにちは。", "{name}です。文書をもとに質問にお答えします。", "どういたしまして。", "さようなら。"
    ),
}

_SAID: dict[str, dict[Kind, str]] = {
    "en": {
        "greeting": "hi, hello, hey, hiya, howdy, yo, greetings, good morning, good afternoon, good evening, good day,"
        " how are you, how are you doing, how do you do, whats up, nice to meet you, hi there, hello there, hey there",
        "about": "who are you, what are you, what is your name, whats your name, who am i talking to,"
        " are you a bot, are you a robot, are you human, are you an ai, are you real, what can you do, what do you do,"
        " what can you help me with, how can you help, how can you help me, can you help, can you help me, help,"
        " help me, i need help, tell me about yourself, introduce yourself, what can i ask, what can i ask you",
        "thanks": "thanks, thank you, thx, ty, cheers, thanks a lot, thanks so much, thank you so much,"
        " thank you very much, many thanks, much appreciated, ok thanks, okay thanks, ok thank you,"
        " great thanks, perfect thanks",
        "goodbye": "bye, bye bye, goodbye, good bye, good night, see you, see you later, see ya, have a nice day,"
        " have a good day",
    },
    "de": {
        "greeting": "hallo, hi, hey, moin, servus, grüß gott, guten tag, guten morgen, guten abend, grüezi,"
        " wie geht es dir, wie geht es ihnen, wie gehts",
        "about": "wer bist du, wer sind sie, was bist du, wie heißt du, wie heißen sie, was kannst du,"
        " was können sie, bist du ein bot, bist du ein mensch, was kann ich fragen, was kann ich dich fragen, hilfe,"
        " kannst du mir helfen, können sie mir helfen, stell dich vor",
        "thanks": "danke, danke schön, dankeschön, danke sehr, vielen dank, herzlichen dank, besten dank, ok danke,"
        " okay danke, super danke, alles klar danke",
        "goodbye": "tschüss, tschüs, auf wiedersehen, bis bald, gute nacht, schönen tag, schönen tag noch",
    },
    "fr": {
        "greeting": "bonjour, salut, bonsoir, coucou, ça va, comment ça va, comment allez vous",
        "about": "qui es tu, qui êtes vous, comment tu tappelles, comment vous appelez vous, que peux tu faire,"
        " que pouvez vous faire, es tu un robot, aide, aide moi, aidez moi",
        "thanks": "merci, merci beaucoup, merci bien, ok merci, super merci, parfait merci",
        "goodbye": "au revoir, à bientôt, bonne journée, bonne soirée, bonne nuit",
    },
    "es": {
        "greeting": "hola, buenos días, buenas tardes, buenas noches, buenas, qué tal, cómo estás, cómo está",
        "about": "quién eres, quién es usted, cómo te llamas, qué puedes hacer, qué puede hacer, eres un robot,"
        " eres un bot, ayuda, ayúdame, puedes ayudarme",
        "thanks": "gracias, muchas gracias, mil gracias, ok gracias, vale gracias, perfecto gracias",
        "goodbye": "adiós, hasta luego, hasta pronto, chao",
    },
    "it": {
        "greeting": "ciao, buongiorno, buonasera, salve, come stai, come sta",
        "about": "chi sei, chi è lei, come ti chiami, cosa puoi fare, che cosa puoi fare, sei un robot, aiuto,"
        " aiutami, puoi aiutarmi",
        "thanks": "grazie, grazie mille, molte grazie, ok grazie, va bene grazie, perfetto grazie",
        "goodbye": "arrivederci, a presto, buona notte, buonanotte, buona giornata",
    },
    "pt": {
        "greeting": "olá, oi, bom dia, boa tarde, boa noite, tudo bem, como vai, como está",
        "about": "quem és tu, quem é você, como te chamas, qual é o seu nome, o que você pode fazer,"
        " o que podes fazer, você é um robô, ajuda, pode me ajudar, podes ajudar me",
        "thanks": "obrigado, obrigada, muito obrigado, muito obrigada, valeu, ok obrigado, ok obrigada",
        "goodbye": "adeus, tchau, até logo, até breve",
    },
    "nl": {
        "greeting": "hallo, hoi, hey, goedemorgen, goedemiddag, goedenavond, goedendag, hoe gaat het",
        "about": "wie ben je, wie ben jij, wie bent u, hoe heet je, wat kun je, wat kan je, wat kun je doen,"
        " ben je een robot, help, kun je me helpen, kunt u mij helpen",
        "thanks": "dank je, dank je wel, dank u, dank u wel, dankjewel, bedankt, hartelijk dank, oké bedankt,"
        " ok bedankt",
        "goodbye": "dag, doei, tot ziens, tot later, goedenacht",
    },
    "ru": {
        "greeting": "привет, здравствуйте, здравствуй, добрый день, доброе утро, добрый вечер, как дела",
        "about": "кто ты, кто вы, как тебя зовут, как вас зовут, что ты умеешь, что вы умеете, что ты можешь,"
        " ты бот, ты робот, помощь, помоги, помогите",
        "thanks": "спасибо, большое спасибо, спасибо большое, благодарю, хорошо спасибо, отлично спасибо",
        "goodbye": "пока, до свидания, спокойной ночи, до встречи",
    },
    "ar": {
        "greeting": "مرحبا, أهلا, أهلا وسهلا, السلام عليكم, صباح الخير, مساء الخير, كيف حالك",
        "about": "من أنت, من انت, ما اسمك, ماذا يمكنك أن تفعل, ماذا تستطيع أن تفعل, هل أنت روبوت, مساعدة, ساعدني",
        "thanks": "شكرا, شكرا جزيلا, شكرا لك, حسنا شكرا",
        "goodbye": "مع السلامة, وداعا, إلى اللقاء, تصبح على خير",
    },
    "hi": {
        "greeting": "नमस्ते, नमस्कार, हैलो, आप कैसे हैं",
        "about": "आप कौन हैं, तुम कौन हो, आपका नाम क्या है, आप क्या कर सकते हैं, मदद",
        "thanks": "धन्यवाद, शुक्रिया, बहुत धन्यवाद, ठीक है धन्यवाद",
        "goodbye": "अलविदा, फिर मिलेंगे, शुभ रात्रि",
    },
    "zh": {
        "greeting": "你好, 您好, 嗨, 早上好, 下午好, 晚上好, 你好吗",
        "about": "你是谁, 您是谁, 你是誰, 你叫什么, 你叫什么名字, 你能做什么, 你会什么, 你可以做什么, 帮助, 帮帮我",
        "thanks": "谢谢, 謝謝, 谢谢你, 谢谢您, 多谢, 非常感谢",
        "goodbye": "再见, 再見, 拜拜, 晚安",
    },
    "ja": {
        "greeting": "こんにちは, こんばんは, おはよう, おはようございます, はじめまして, やあ",
        "about": "あなたは誰ですか, あなたは誰, 誰ですか, 何ができますか, 名前は何ですか, ヘルプ, 助けて",
        "thanks": "ありがとう, ありがとうございます, どうも, どうもありがとう",
        "goodbye": "さようなら, またね, おやすみ, おやすみなさい, バイバイ",
    },
}


def _words(text: str) -> _Words:
    return tuple(_WORD.findall(text.casefold().replace("'", "").replace("’", "")))


def _phrases(said: dict[Kind, str]) -> dict[_Words, Kind]:
    return {_words(phrase): kind for kind, phrases in said.items() for phrase in phrases.split(",")}


_PHRASES = {language: _phrases(said) for language, said in _SAID.items()}
_LONGEST_PHRASE = max(len(phrase) for phrases in _PHRASES.values() for phrase in phrases)


def talk_of(text: str) -> Talk | None:
    """What a message is that consists of nothing else; None for any other. Of several, what wants the longest reply."""
    words = _words(text[: LONGEST * 40])
    if not 0 < len(words) <= LONGEST:
        return None
    for language, phrases in _PHRASES.items():
        kinds = set(_kinds(words, phrases))
        if None not in kinds:
            order: tuple[Kind, ...] = ("about", "greeting", "goodbye", "thanks")
            return Talk(language, next(kind for kind in order if kind in kinds))
    return None


def _kinds(words: _Words, phrases: dict[_Words, Kind]) -> Iterator[Kind | None]:
    """Of its phrases in their order; ends with None at the first word that belongs to none."""
    at = 0
    while at < len(words):
        longest = min(_LONGEST_PHRASE, len(words) - at)
        size = next((size for size in range(longest, 0, -1) if words[at : at + size] in phrases), 0)
        yield phrases.get(words[at : at + size])
        if not size:
            return
        at += size


def applies(turn: Turn) -> Talk | None:
    """Only where a model would not find its own words for it: a strict bot's are in its documents, and without a key
    there is none.
    """
    opened = turn.opened
    wordless = opened.version.strictness == Strictness.STRICT or opened.answer.model.startswith(KEYLESS)
    if opened.bot is None or opened.pictures or not wordless:
        return None
    return talk_of(opened.question)


def answered(turn: Turn, talk: Talk) -> Outcome:
    """In the owner's words where there are any, with the questions that the owner suggests. Free, and cites nothing."""
    turn.show(before_stop(_reply(turn, talk), turn.opened.stop))
    return Outcome(
        state=AnswerState.DONE,
        text=turn.text,
        finish_reason=FINISH_REASON,
        input_tokens=0,
        output_tokens=0,
        follow_ups=turn.opened.version.suggested_questions,
        account=concluding.account(turn),
    )


def _reply(turn: Turn, talk: Talk) -> str:
    bot, replies = turn.opened.bot, _REPLIES[talk.language]
    assert bot is not None  # noqa: S101 - `applies` looked
    about = " ".join(filter(None, (replies.about.format(name=bot.name), bot.description)))
    match talk.kind:
        case "thanks":
            return replies.thanks
        case "goodbye":
            return replies.goodbye
        case "about":
            return about
        case "greeting":
            return turn.opened.version.greeting or f"{replies.greeting} {about}"
