"""Words that ask or join and name nothing, of the languages most asked in. In others they are plain terms."""

import re

_WORDS = """
    a an the of in on at to for from by with and or is are was were be been do does did has have had can could would
    should will may
    might must what which who whom whose when where why how many much it its this that these those there
    their his her they
    he she i you we me my your our us as than then not no so if about into please tell
    der die das den dem des ein eine einer einem einen eines und oder ist sind war waren wird werden wurde wurden
    hat haben hatte
    hatten kann können was welche welcher welches welchen welchem wer wen wem wessen wann wo wohin woher warum wieso
    weshalb wie viele
    viel im in am an auf aus bei mit nach von vom zu zum zur für es er sie ich wir ihr sein seine ihre als
    nicht
    le la les l un une des du de d et ou est sont était étaient a ont que qu quel quelle quels quelles qui quand où
    pourquoi comment
    combien dans sur pour par avec il elle ils elles ce cette ces
    el los las uno una unos unas y o es son fue fueron era ha han qué cuál cuáles quién quiénes cuándo dónde cómo
    cuánto cuántos cuánta
    cuántas en por para con se su sus del al lo
    il gli uno e o è sono era che chi quale quali quando dove perché come quanto quanti di da con su per
    o os as um uma e é são foi qual quais quem quando onde por como quanto quantos do da dos das no na
    de het een en of is zijn was wat welke wie wanneer waar waarom hoe veel van op te met voor
    من ما ماذا متى أين كيف كم لماذا هل أي اي التي الذي الذين هو هي هم في على إلى الى عن مع كان كانت هذا هذه ذلك تلك
    و أو او ان أن
    که چه کی کجا چرا چگونه در به از
"""
QUESTION_WORDS = frozenset(_WORDS.split())

UNSPACED_QUESTION_WORDS = re.compile(
    "什么时候|為什麼|为什么|什么|什麼|怎么样|怎么|怎麼|哪里|哪裡|哪个|哪些|哪|谁|誰|多少|几个|几|是否|吗|嗎|呢|的|是|了"
    "|いつ|どこ|だれ|なぜ|どうして|どの|どう|いくつ|いくら|何|ですか|ますか|でした|です|ました|ます|は|が|を|に|の|へ|と"
    "|เมื่อไร|เมื่อไหร่|ที่ไหน|อะไร|ใคร|ทำไม|อย่างไร|เท่าไร"
)
"""The same for scripts that write words without spaces between them; longer ones first."""
