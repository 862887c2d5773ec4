"""The few sentences that are ours and not a model's, in the languages most asked in; English in all others."""

from dataclasses import dataclass

from agent_service.pipeline.languages import language_of
from agent_service.pipeline.terms import words_of

_LETTERS = 2_000


@dataclass(frozen=True, slots=True)
class Phrases:
    """`nothing_found`: nobody was asked, or nothing that was said stands; `not_answered`: looked at, and not found;
    `withheld`: what is said where something was left out; `about`: a question about {what}.
    """

    nothing_found: str
    not_answered: str
    quoting: str
    withheld: str
    about: str


ENGLISH = Phrases(
    "Nothing about this was found in the documents.",
    "I could not find an answer to this in the documents.",
    "From the documents:",
    "Some statements were left out because the documents do not support them.",
    "What do the documents say about “{what}”?",
)
_PHRASES = {
    "en": ENGLISH,
    "de": Phrases(
        "Dazu wurde in den Dokumenten nichts gefunden.",
        "Darauf konnte ich in den Dokumenten keine Antwort finden.",
        "Aus den Dokumenten:",
        "Einige Aussagen wurden weggelassen, weil die Dokumente sie nicht belegen.",
        "Was sagen die Dokumente über „{what}“?",
    ),
    "fr": Phrases(
        "Rien à ce sujet n'a été trouvé dans les documents.",
        "Je n'ai pas trouvé de réponse à cela dans les documents.",
        "Extrait des documents :",
        "Certaines affirmations ont été omises, car les documents ne les confirment pas.",
        "Que disent les documents sur « {what} » ?",
    ),
    "es": Phrases(
        "No se encontró nada sobre esto en los documentos.",
        "No pude encontrar una respuesta a esto en los documentos.",
        "De los documentos:",
        "Se omitieron algunas afirmaciones porque los documentos no las respaldan.",
        "¿Qué dicen los documentos sobre «{what}»?",
    ),
    "it": Phrases(
        "Nei documenti non è stato trovato nulla al riguardo.",
        "Non ho trovato una risposta nei documenti.",
        "Dai documenti:",
        "Alcune affermazioni sono state omesse perché i documenti non le confermano.",
        "Che cosa dicono i documenti su «{what}»?",
    ),
    "pt": Phrases(
        "Nada sobre isto foi encontrado nos documentos.",
        "Não encontrei uma resposta para isto nos documentos.",
        "Dos documentos:",
        "Algumas afirmações foram omitidas porque os documentos não as confirmam.",
        "O que dizem os documentos sobre “{what}”?",
    ),
    "nl": Phrases(
        "Hierover is in de documenten niets gevonden.",
        "Ik kon hierop in de documenten geen antwoord vinden.",
        "Uit de documenten:",
        "Sommige uitspraken zijn weggelaten omdat de documenten ze niet ondersteunen.",
        "Wat zeggen de documenten over “{what}”?",
    ),
    "ru": Phrases(
        "В документах об этом ничего не найдено.",
        "Я не нашёл ответа на это в документах.",
        "Из документов:",
        "Некоторые утверждения опущены, так как документы их не подтверждают.",
        "Что говорится в документах о «{what}»?",
    ),
    "ar": Phrases(
        "لم يُعثر على شيء عن هذا في المستندات.",
        "لم أجد إجابة عن هذا في المستندات.",
        "من المستندات:",
        "حُذفت بعض العبارات لأن المستندات لا تؤيدها.",
        "ماذا تقول المستندات عن «{what}»؟",
    ),
    "hi": Phrases(
        "दस्तावेज़ों में इसके बारे में कुछ नहीं मिला।",
        "मुझे दस्तावेज़ों में इसका उत्तर नहीं मिला।",
        "दस्तावेज़ों से:",
        "कुछ कथन छोड़ दिए गए हैं क्योंकि दस्तावेज़ उनका समर्थन नहीं करते।",
        "दस्तावेज़ “{what}” के बारे में क्या कहते हैं?",
    ),
    "zh": Phrases(
        "文档中没有找到相关内容。",
        "我没有在文档中找到答案。",
        "摘自文档：",
        "部分内容因文档中没有依据而略去。",
        "文档中关于“{what}”是怎么说的？",
    ),
    "ja": Phrases(
        "文書の中に該当する記述は見つかりませんでした。",
        "文書の中に答えは見つかりませんでした。",
        "文書より：",
        "文書で裏付けられない記述は省きました。",
        "「{what}」について文書には何と書かれていますか？",
    ),
    "th": Phrases(
        "ไม่พบข้อมูลเรื่องนี้ในเอกสาร",
        "ไม่พบคำตอบของเรื่องนี้ในเอกสาร",
        "จากเอกสาร:",
        "ข้อความบางส่วนถูกละไว้เพราะเอกสารไม่ได้รองรับ",
        "เอกสารกล่าวถึง “{what}” ว่าอย่างไร?",
    ),
}

OWN = frozenset(
    said for one in _PHRASES.values() for said in (one.nothing_found, one.not_answered, one.quoting, one.withheld)
)


def phrases_for(text: str) -> Phrases:
    """In the language of this text, usually the question's."""
    return _PHRASES.get(spoken(text), ENGLISH)


def spoken(text: str) -> str:
    """ISO 639-1, or "" for one that nothing is known about."""
    text = text[:_LETTERS]
    if any("\u3040" <= letter <= "\u30ff" for letter in text):
        return "ja"
    if any("\u0e00" <= letter <= "\u0e7f" for letter in text):
        return "th"
    if any("\u4e00" <= letter <= "\u9fff" for letter in text):
        return "zh"
    return language_of(words_of(text), fewest=1)
