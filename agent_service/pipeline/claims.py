"""The sentences of an answer, and which of them state anything that a source would have to support."""

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

from agent_service.pipeline.figures import Figure, figures
from agent_service.pipeline.languages import STOPS, language_of
from agent_service.pipeline.phrases import OWN
from agent_service.pipeline.polarity import Denials, denials, spelled_out
from agent_service.pipeline.question_words import QUESTION_WORDS, UNSPACED_QUESTION_WORDS
from agent_service.pipeline.sentences import Span, sentence_spans
from agent_service.pipeline.terms import is_unspaced, pairs_of, stem_of, words_of

_LINE = re.compile(r"[^\n]+")
_LIST_MARK = re.compile(r"^\s*(?:[-*+•‣–]\s+|#{1,6}\s+|>\s*|(?:\d{1,3}|[a-z])[.)](?:\s+|$)|\|\s*)+")
_DECORATION = "*_`~#>|“”„«»\"'‘’()[]{} \t\u200e\u200f"
_HEADING = re.compile(r"^\s*+(?:#{1,6}\s|\*\*[^*]+\*\*\s*$|__[^_]+__\s*$|[-=|: ]+$)")
_ASKS = re.compile(r"[?؟？]\s*[\"'’”»)\]*_]*\s*$")
_LEADS = re.compile(r"[:：]\s*[*_]*\s*$")
_CLAUSE_END = re.compile(
    r"[,;—–،；，、؛]|(?<!\w)(?:and|but|while|whereas|which|und|aber|während|et|mais|y|pero|ed|ma|mas|en|maar|и|а|но|و|और)(?!\w)",
    re.IGNORECASE,
)
_CASED = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*")
_SENTENCE_BREAK = re.compile(r"[.!?:]\s*[\"“”„«»'(]*\s*$")

_FRAMING_WORDS = """
    according document documents passage passages source sources text texts mentioned stated states says said
    provided given based describe described information also therefore however thus overall additionally laut
    dokument dokumente dokumenten quelle quellen genannt erwähnt außerdem daher jedoch ebenfalls gemäß selon
    document documents indiqué également según documento documentos indica también secondo documento documenti anche
    segundo documentos também volgens document
    """
_FRAMING = frozenset(map(stem_of, _FRAMING_WORDS.split()))
"""What an answer says about its sources and not about the world."""

_PLEASANT_WORDS = """
    hello hi hey dear good morning day evening welcome thank thanks sure certainly course great okay ok yes no sorry
    hope happy glad helps help helped assist let know feel free question questions ask asking more anything else
    need further answer answers found find summary overview i'm you're hallo guten tag morgen abend danke gern gerne
    natürlich klar ja nein hoffe hilft helfen frage fragen antwort leider bonjour merci bien sûr oui non voici
    espère aide question réponse désolé hola gracias claro supuesto sí espero ayude pregunta respuesta siento ciao
    buongiorno grazie certo sì ecco spero aiuti domanda risposta olá obrigado sim não ajude pergunta resposta dank
    natuurlijk nee vraag antwoord привет здравствуйте спасибо конечно да нет вот вопрос ответ مرحبا شكرا نعم بالطبع
    سؤال नमस्ते धन्यवाद
    """
_PLEASANT = frozenset(map(stem_of, _PLEASANT_WORDS.split()))
_UNSPACED_PLEASANT = re.compile(
    r"^\W*(?:你好|您好|谢谢|不客气|好的|当然|是的|不是|希望(?:这|對|对)[^，。]{0,12}|こんにちは|ありがとう(?:ございます)?|はい|いいえ|สวัสดี(?:ครับ|ค่ะ)?)\W*$"
)
_ABOUT_SOURCES = re.compile(
    r"(?<!\w)(?:documents?|passages?|sources?|texts?|context|information|materials?|dokument\w*|quelle\w*|text\w*|passage\w*"
    r"|textes?|extraits?|documentos?|fuentes?|fontes?|documenti|fonti|documenten|bronnen|документ\w*|источник\w*"
    r"|المستندات|الوثائق|المصادر|النص|दस्तावेज़\w*|दस्तावेज\w*)(?!\w)|文档|文件|文檔|资料|資料|段落|文書|文章|เอกสาร",
    re.IGNORECASE,
)
_ABSENCE_WORDS = """
    contain contains containing include includes mention mentions mentioned say says state states specify specified
    provide provides provided find found answer answers answered detail details information about given available
    specific directly question questions enough sufficient does unable however unfortunately given here enthalten
    enthält erwähnen erwähnt angaben angabe beantworten beantwortet finden gefunden informationen information dazu
    darüber darin frage nennen nennt sagen sagt steht leider contiennent contient mentionnent mentionne information
    informations répondre réponse trouvé question contienen contiene mencionan menciona información responder
    respuesta encontrado pregunta contengono contiene menzionano informazioni rispondere risposta domanda contêm
    informações responder resposta bevatten vermelden informatie antwoord vraag содержат упоминают информации ответа
    вопрос تحتوي تذكر معلومات إجابة سؤال
    提到 提及 说明 說明 信息 资料 答案 记载 記載 言及 情報 回答 找到 包含 ระบุ กล่าว ข้อมูล
    """
_ABSENCE = frozenset(map(stem_of, _ABSENCE_WORDS.split()))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one sentence, or a part of one, states: its terms in their order, and whether each is a name; its folded
    words. `first` is the term it begins with: a name may hide there, for every sentence begins with a capital.
    """

    terms: dict[str, bool]
    words: frozenset[str]
    figures: tuple[Figure, ...] = ()
    denials: Denials = field(default_factory=list)
    language: str = ""
    first: str = ""

    @property
    def names(self) -> set[str]:
        return {term for term, name in self.terms.items() if name}


def claim_spans(text: str) -> list[Span]:
    """Of an answer: lines end sentences, for lists, headings and tables have no full stops."""
    spans: list[Span] = []
    for line in _LINE.finditer(text):
        spans.extend((line.start() + start, line.start() + end) for start, end in sentence_spans(line.group()))
    return spans


def claim_of(sentence: str, whole: Claim | None = None) -> Claim:
    """`whole` is given for a part of a sentence: what is a name there is one here."""
    text = _LIST_MARK.sub("", sentence)
    text_words = words_of(UNSPACED_QUESTION_WORDS.sub(" ", spelled_out(text)))
    language = language_of(text_words, fewest=1)
    silent = STOPS.get(language, frozenset())
    names = names_in(text, language) if whole is None else whole.names
    terms: dict[str, bool] = {}
    for word in text_words:
        if is_unspaced(word):
            terms.update((pair, False) for pair in pairs_of(word))
        elif word not in silent and word not in QUESTION_WORDS and not word.isdecimal():
            stem = stem_of(word)
            if stem not in _FRAMING:
                terms[stem] = stem in names
    first = next(iter(terms), "") if text_words and stem_of(text_words[0]) in terms else ""
    return Claim(terms, frozenset(text_words), tuple(figures(text)), denials(text), language, first)


def clauses(sentence: str) -> list[str]:
    """Its parts, where each has something to say for itself; the sentence alone where it has no parts."""
    parts: list[str] = []
    start = 0
    for match in _CLAUSE_END.finditer(sentence):
        if match.group() == "," and _within_a_number(sentence, match.start()):
            continue
        parts.append(sentence[start : match.start()])
        start = match.end()
    parts.append(sentence[start:])
    return [part for part in parts if part.strip(_DECORATION)]


def _within_a_number(sentence: str, at: int) -> bool:
    return sentence[at - 1 : at].isdigit() and sentence[at + 1 : at + 2].isdigit()


def states_nothing(sentence: str, claim: Claim, known: Container[str], numbers: Callable[[], Container[str]]) -> bool:
    """Whether a sentence only greets, asks, heads or leads, or says that the sources say nothing. One that brings in a
    name or a number which is neither in `known` (terms of question and sources) nor in `numbers` states it.
    """
    if (not claim.terms and not claim.figures) or sentence.strip() in OWN:
        return True
    heading = _HEADING.match(sentence) or _ASKS.search(sentence) or _LEADS.search(sentence)
    if heading and _brings_nothing_new(claim, known, numbers, words_may_be_new=heading.re is _HEADING):
        return True
    if claim.figures:
        return False
    if _UNSPACED_PLEASANT.match(sentence) or claim.terms.keys() <= _PLEASANT:
        return True
    return _says_that_nothing_is_said(sentence, claim)


def _brings_nothing_new(
    claim: Claim, known: Container[str], numbers: Callable[[], Container[str]], *, words_may_be_new: bool
) -> bool:
    new = [term for term in claim.terms if term not in known]
    if any(claim.terms[term] for term in new) or (len(new) * 2 > len(claim.terms) and not words_may_be_new):
        return False
    return all(any(reading in numbers() for reading in figure) for figure in claim.figures)


def _says_that_nothing_is_said(sentence: str, claim: Claim) -> bool:
    return (
        any(scope & _ABSENCE for scope in claim.denials)
        and _ABOUT_SOURCES.search(sentence) is not None
        and len(_CLAUSE_END.findall(sentence)) <= 1
    )


def names_in(text: str, language: str = "") -> set[str]:
    """The stems of words with a capital that stand where a sentence needs none. German writes every noun with one, and
    a title every word: there a capital says nothing.
    """
    if text.isascii() and not any(character.isupper() for character in text):
        return set()
    words = list(_CASED.finditer(text))
    capital = [match for match in words if match.group()[0].isupper()]
    long = [match for match in words if len(match.group()) > 3]
    if language == "de" or (len(long) > 3 and sum(match.group()[0].isupper() for match in long) > 0.7 * len(long)):
        return {stem for match in capital if _is_acronym(match.group()) for stem in _stems(match.group())}
    names: set[str] = set()
    for match in capital:
        if _is_acronym(match.group()) or not _begins_a_sentence(text, match.start()):
            names.update(_stems(match.group()))
    return names


def _begins_a_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip(_DECORATION)
    return not before or _SENTENCE_BREAK.search(before) is not None


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word[1].isupper()


def _stems(word: str) -> Iterator[str]:
    for part in words_of(word):
        if not is_unspaced(part) and part not in QUESTION_WORDS:
            yield stem_of(part)
