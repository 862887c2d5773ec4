"""Words that join and point and name nothing, by language. They tell a text's language and are left out of the
index.
"""

_WORDS = {
    "en": """
        a about above after again against all also am an and any are as at be because been before being below between
        both but by can cannot could did do does doing down during each few for from further had has have having he
        her here hers him his how i if in into is it its itself just may me might more most must my no nor not of off
        on once only or other our ours out over own same shall she should so some such than that the their them then
        there these they this those through to too under until up upon us very was we were what when where whether
        which while who whom whose why will with within without would you your
    """,
    "de": """
        aber alle allem allen aller alles als also am an ander andere anderen auch auf aus bei beim bin bis bist da
        damit dann das dass dein dem den denn der des dessen dich die dies diese diesem diesen dieser dieses dir doch
        dort du durch ein eine einem einen einer eines er es etwas euch für gegen gewesen hab habe haben hat hatte
        hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder
        jedes jetzt kann kein keine keinen können könnte man mehr mein mich mir mit muss nach nicht nichts noch nun
        nur ob oder ohne schon sehr sein seine seinem seinen seiner seit sich sie sind so solche soll sollte sondern
        sonst über um und uns unser unter viel viele vom von vor wann war waren warum was weil welche welchem welchen
        welcher welches wem wen wenn wer werde werden wessen wie wieso wird wo woher wohin wollen worden wurde wurden
        würde während zu zum zur zwar zwischen
    """,
    "fr": """
        à ai ainsi alors après au aucun aussi autre autres aux avait avant avec avoir c ce cela ces cet cette ceux
        chez combien comme comment d dans de depuis des donc dont du elle elles en encore entre est et étaient était
        été être eu eux fait ici il ils j je l la le les leur leurs lors lui m ma mais me même mes moi mon n ne ni non
        nos notre nous on ont ou où par parce pas pendant peu peut plus pour pourquoi pu qu quand que quel quelle
        quelles quels qui quoi s sa sans se sera ses si sien son sont sous sur t ta te tes ton tous tout toute toutes
        très tu un une vers vos votre vous y
    """,
    "es": """
        a al algo algunas algunos ante antes aquel aquella aquí así aunque bajo cada como cómo con contra cuál cuáles
        cuando cuándo cuánta cuántas cuánto cuántos cuya cuyo de del desde donde dónde dos durante e el él ella ellas
        ellos en entre era eran es esa esas ese eso esos esta está estaba están estas este esto estos fue fueron ha
        había han hasta hay la las le les lo los más me mi mientras muy nada ni no nos nosotros nuestra nuestro o os
        otra otras otro otros para pero poco por porque por qué que qué quien quién quiénes se según ser si sí sido
        sin sobre son su sus también tan tanto te tiene tienen toda todas todo todos tras tu tus u un una unas uno
        unos y ya yo
    """,
    "it": """
        a ad agli ai al alla alle allo anche ancora c che chi ci cioè come con cosa così cui d da dagli dai dal dalla
        dalle dallo degli dei del dell della delle dello di dopo dove due e è ed era erano essere fra gli ha hanno i
        il in io l la le lei li lo loro lui ma mentre mi mio molto ne negli nei nel nell nella nelle nello no noi non
        nostro o ogni per perché però più poi prima qual quale quali quando quanta quante quanti quanto quella quelle
        quelli quello questa queste questi questo sarà se sei senza si sia sono sta stata stati stato su sua sue sugli
        sui sul sulla sulle suo suoi tra tu tutti tutto un una uno vi
    """,
    "pt": """
        à a ao aos aquela aquele as às até cada com como da das de dela dele deles depois do dos e é ela elas ele eles
        em entre era eram essa esse esta está estão estas este estes eu foi foram há isso isto já lhe mais mas mesmo
        meu minha muito na não nas nem no nos nós o onde os ou para pela pelas pelo pelos por porque quais qual quando
        quanta quantas quanto quantos que quê quem são se seja sem ser será seu seus só sobre sua suas também te tem
        têm teve tu um uma umas uns você
    """,
    "nl": """
        aan af al alle als altijd ander andere bij binnen daar dan dat de der deze die dit doch doen door dus een en
        er ge geen had hadden heb hebben heeft hem het hier hij hoe hoeveel hun ik in is ja je kan kunnen maar me meer
        men met mij mijn na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen toch toen tot u
        uit uw van veel vanaf voor waar waarom wanneer waren was wat we wel welk welke werd werden wezen wie wij wil
        worden wordt zal ze zelf zich zij zijn zo zonder zou
    """,
    "sv": """
        alla att av blev bli blir de dem den denna deras dess dessa det detta dig din du där efter ej eller en ett
        fick från för ha hade han hans har hennes hon hur här i icke ingen inom inte jag kan kunde man med mellan men
        mig min mot mycket ni nu när någon något några och om oss på samma sedan sig sin sina ska skulle som så till
        under upp ut vad var vara varför varit vem vi vid vilka vilken vilket vår än är åt över
    """,
    "da": """
        ad af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse dog du efter
        eller en end er et for fra få ham han hans har havde hende her hos hun hvad hvem hvilke hvilken hvis hvor
        hvordan hvorfor hvornår i ikke ind jeg jo kan kunne man mange med meget men mig min mod mon ned når nu og også
        om op os over på sig sin skal skulle som sådan til ud under var vi vil ville vor være været
    """,
    "no": """
        alle at av begge ble bli blir både da de deg dei deim den denne der deres det dette disse du eg ein eit eller
        en enn er et etter for fordi fra før ha hadde han hans har henne her hos hun hva hvem hver hvilke hvilken hvis
        hvor hvordan hvorfor i ikke ikkje ingen inn ja jeg kan kom kunne man mange med meg mellom men mer min mot mye
        må ned når nå og også om opp oss over på samme seg selv si sin skal skulle slik som så til um under ut uten
        var ved vi vil ville vår være vært
    """,
    "fi": """
        ei eivät että hän he ja jo joka jos jotka kanssa koska kuin kuka kun missä mitä mikä miksi milloin miten
        mukaan mutta myös ne niin nyt oli olivat olla on ovat se sekä sen siitä siinä tai tämä tästä voi vai vain
    """,
    "tr": """
        ama bir bu bunu çok çünkü da daha de değil diye en gibi göre hangi hem her için ile ise kaç kadar ki kim mi mı
        mu mü nasıl ne neden nerede o olan olarak olduğu sonra şu tarafından var ve veya ya
    """,
    "ro": """
        a ai al ale am ar are au ca care cât câte câți ce cea cel cele cei cine cu cum când că da dar de decât deși
        din după e ea ei el ele era este eu fi fost îi îl în într la le lor lui mai ne nu o or pe pentru prin sa sale
        său se și si sau sunt sub un una unde unei unor unui
    """,
    "pl": """
        a aby ale bo by był była było były być co czy dla do gdy gdzie go i ich ile jak jaka jaki jakie jako jego jej
        jest jeszcze już kiedy kto która które którego którzy który lub ma między na nad nie nim o od oraz po pod
        przed przez przy są się ta tak także tam te tego tej ten też to tu tych tylko tym u w we więc wszystko z za ze
        że
    """,
    "hu": """
        a az azt az és de egy ennek ez ezt hány hogy hogyan hol így is ki kik már meg mely mi miért mikor milyen mint
        nem sem volt voltak van vagy vannak
    """,
    "cs": """
        a aby ale ani asi až být byl byla bylo byly co do i jak jaký jaké jako je jeho jejich jen ještě již jsou k kde
        kdo kdy když kolik která které který má mezi na nebo než o od po pod podle pro proč proti před při s se si
        svou ta tak také tam ten to tím u v ve více však z za ze že
    """,
    "id": """
        ada adalah agar akan apa atau bagaimana bagi bahwa banyak berapa dalam dan dapat dari dengan di dia ia ini itu
        juga kapan karena ke kepada mana mengapa mereka oleh pada saat sebagai sebuah siapa tahun telah tersebut tidak
        untuk yang
    """,
    "ru": """
        а без бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для до его ее её если
        есть ещё же за здесь и из или им их к как какая какие какого какое какой ко когда который которая которое
        которые которых кто ли лишь между меня мне можно мой мы на над надо нас не него нее ней нет ни них но ну о об
        однако он она они оно от очень по под при почему с сам свой себя сколько со так также такой там те тем то того
        тоже той только том тот ты у уже чего чей чем что чтобы эта эти это этого этой этом этот я
    """,
    "el": """
        αλλά αν από αυτά αυτή αυτό αυτός για δεν είναι ένα έναν ένας επίσης ή ήταν η θα και κατά με μετά μέχρι μη μια
        μία μου να ο οι ό όταν ότι όπου ποια ποιος ποιο πόσα πόσο πότε πού που πριν προς πως σαν σε στα στη στην στις
        στο στον στους τα τη την της τι τις το τον του τους των ως
    """,
    "ar": """
        أن إن إلى الى الا إلا التي الذي الذين اللذين اللتين أو او أي اي أين اين أيضا أما إما بعد بعض بين بما به بها
        تحت تكون ثم حتى حول حيث حين خلال ذلك تلك سوف على عليه عليها عن عند عندما غير فقط في فيه فيها قبل قد كان كانت
        كانوا كل كما كم كيف لا لأن لدى لكن لم لماذا لن له لها لهم ليس ما ماذا متى مثل مع من منذ منه منها نحو هذا هذه
        هل هم هما هو هي هناك و وقد وكان ولا ولم وهو وهي يكون يمكن
    """,
    "fa": """
        آن آنها از است اما این با باید بر برای بود بودند به تا تر چرا چند چه چگونه خود در دو دیگر را شد شده شود کجا
        کدام کرد کرده کند که کی ما می نیز هر هم هستند همه و یا یک
    """,
    "hi": """
        और इन इस इसके इसे उन उनके उस उसके एक ऐसे और क कब कर करना करने कहाँ कहा का काफी कि किया किस किसी की कुछ के को
        कौन कौनसा क्या क्यों गया जब जा जो तक तथा तो था थी थे द्वारा न नहीं ने पर भी में यह यहां या ये लिए व वह वे से
        हम ही हुआ हुई हुए है हैं हो होता होती होने कितना कितनी कितने
    """,
}

STOP_WORDS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
