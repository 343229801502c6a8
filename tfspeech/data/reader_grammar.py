"""The grammar of the sentences that `reader` speaks.

A rule is a text of alternatives, separated by `|`. In an alternative, `<name>` stands
for the rule of that name. Verbs and nouns have two forms, separated by `/`: `<fix>` is
the first of them (present or singular), `<fix+>` the second (past or plural). Words
whose sound depends on their meaning (read, lead, wind) are left out.
"""

GRAMMAR = {
    "sentence": """
        <who> <deed+>.|<who> <deed+> <where>.|<who> <deed+> <when>.
        |<when>, <who> <deed+>.|<who> <deed+>, and <who> <move+>.
        |<who> <move+> because <who> <deed+>.|<who> <move+> <where> <when>.
        |<who> <manner> <deed+>.|<when>, <who> <manner> <move+>.
        |the <animal> <move+> <where>.|a <nature> <animal> <move+> past <who>.
        |<count> <animal+> <move+> <where> <when>.|we saw <count> <animal+> <where>.
        |<who> wanted to <deed>.|<who> tried to <move> <when>.
        |I will <deed> <later>.|<who> said that <who> <deed+>.
        |I think the <thing> is <where>.|did <who> <deed>?|who <deed+> <when>?
        |where is the <adjective> <thing>?|why did <who> <move> <where>?
        |can you <deed> <later>?|would you like <meal>?
        |how many <thing+> are <where>?|when will <who> <move>?
        |what is in the <container>?|please <deed>.|please <deed> <where>.
        |don't <deed>!|let's <move> <where>!|what a <adjective> <thing>!
        |never <deed> without <whom>!|look at that <animal>!
        |the <thing> was <adjective> and <adjective>.
        |the <role> is <nature> but <nature>.|the <place> is <adjective> <season>.
        |this <thing> is <more> than that <thing>.|<name>'s <thing> is <colour>.
        |there was a <material> <thing> <where>.
        |her <clothing> was <colour> and <colour>.
        |the <thing> costs <number> dollars.
        |<who> paid <number> dollars for the <thing>.|<name> is <age> years old.
        |it took <few> <period+> to <deed>.|the <vehicle> leaves <clock>.
        |meet me <where> <clock>.|the <vehicle> was late.
        |my number is <digit> <digit> <digit> <digit>.|<digit> <digit> <digit>.
        |<digit>, <digit>, <digit>, <digit>.|room <digit> <digit> is <where>.
        |call <digit> <digit> <digit> <later>.|<number> and <number> is <number>.
        |<digit> or <digit>?|<number>, not <number>.|page <number> is missing.
        |<weather> <where>.|<weather> <when>.|it is <weathered> <where> today.
        |if <weather_now>, <who> will <move> <where>.
        |<name> likes <food> with <food>.|we ate <food> and <food> <when>.
        |the <food> tasted <taste>.|<meal> was <taste>.
        |she wore a <colour> <clothing> <when>.|my <clothing> is <adjective>.
        |<name> and <name> <move+> <where>.|<name> met <name> <when>.|<answer>.
        |<answer>!|yes, <who> <deed+>.|listen: <who> <deed+>.
        |it is <weathered>; <who> <move+>.|no, <who> did not <move>.|<single>.
        |<single>.|the <thing>.|<name> plays the <instrument>.
        |the <instrument> sounded <sound>.|<who> felt <mood>.|are you <mood>?
        |I am <mood> <season>.|you look <mood>, <name>.
        |the <role> told us about the <place>.|<topic> is <quality>.
        |we talked about <topic>.|<name> knows a lot about <topic>.
        |learning <topic> takes <few> <period+>.""",
    "deed": """
        <cook> <the_food>/<cook+> <the_food>|<fix> <the_thing>/<fix+> <the_thing>
        |<fix> <the_thing>/<fix+> <the_thing>
        |<dress> <the_clothing>/<dress+> <the_clothing>
        |<watch> the <animal>/<watch+> the <animal>|<greet> <whom>/<greet+> <whom>
        |<steer> the <vehicle>/<steer+> the <vehicle>
        |<study> <topic>/<study+> <topic>
        |<fix> <count> <thing+>/<fix+> <count> <thing+>
        |<watch> <whom>/<watch+> <whom>""",
    "who": """
        <name>|<name>|<name>|the <role>|the <role>|my <relative>|our <role>
        |his <relative>|she|he|they|we|I|everybody|nobody|the <nature> <role>""",
    "whom": "<name>|the <role>|my <relative>|their <relative>|them|her|him",
    "the_food": "the <food>|some <food>|the <taste> <food>|<count> pounds of <food>",
    "the_thing": """
        the <thing>|a <thing>|the <adjective> <thing>|my <thing>|your <thing>
        |a <colour> <thing>|the <material> <thing>|this <thing>|another <thing>""",
    "the_clothing": """
        the <clothing>|his <colour> <clothing>|her <clothing>|an old <clothing>""",
    "meal": "breakfast|lunch|dinner|supper|the soup|your tea|the picnic|a sandwich",
    "where": """
        <near> the <place>|<near> the <place>|<near> the <place>|in the <room>
        |in the <room>|on the <surface>|at home|upstairs|outside|next door
        |over there|in <city>|in <city>|<near> <name>'s house|under the <surface>
        |far away""",
    "near": "near|behind|beside|across from|close to|in front of|by|beyond|around",
    "when": """
        <day> <daypart>|yesterday|last <weekday>|last <time_of_year>
        |<count> <period+> ago|<clock>|in <month>|before <meal>|after <meal>
        |during the <event>|on <weekday>|that night|this morning|all <daypart>
        |at midnight|once upon a time|every <weekday>""",
    "later": """
        tomorrow|next <weekday>|soon|in <count> <period+>|on <weekday> <daypart>
        |tonight|before the <event>|after the <event>|<clock>|next <time_of_year>""",
    "day": "<weekday>|<weekday>|yesterday|the other|one|early one|late on <weekday>",
    "season": """
        in winter|in summer|in spring|in autumn|today|these days|again|this year""",
    "clock": """
        at <hour> o'clock|at half past <hour>|at quarter to <hour>|at <hour> thirty
        |at <minutes> past <hour>|at <minutes> to <hour>|at noon""",
    "count": "<few>|<few>|<few>|<few>|<number>|several|many|a few",
    "age": "<teen>|<ten>|<ten>-<unit>|<ten>-<unit>",
    "number": """
        <few>|<teen>|<ten>|<ten>-<unit>|<ten>-<unit>|<unit> hundred|<unit> thousand""",
    "hour": "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve",
    "minutes": "five|ten|twenty|twenty-five",
    "digit": "zero|one|two|three|four|five|six|seven|eight|nine",
    "unit": "one|two|three|four|five|six|seven|eight|nine",
    "few": "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve",
    "teen": "thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen",
    "ten": "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety",
    "weekday": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "daypart": "morning|afternoon|evening|night",
    "month": """
        January|February|March|April|May|June|July|August|September|October|November
        |December""",
    "time_of_year": "week|month|year|winter|summer|spring|autumn|Christmas",
    "period": """
        second/seconds|minute/minutes|hour/hours|day/days|week/weeks|month/months
        |year/years""",
    "event": """
        storm|party|concert|wedding|game|lecture|holiday|meeting|race|show|flood
        |dance""",
    "single": """
        <thing>|<food>|<animal>|<place>|<mood>|<topic>|<month>|<role>|<colour>
        |<city>""",
    "answer": """
        thank you very much|good morning, <name>|see you <later>|not at all
        |of course|excuse me, <name>|never mind|I don't know|that's right
        |it doesn't matter|hurry up|good luck, <name>|be careful
        |welcome back, <name>|come in|hold on|well done, <name>|what a pity
        |perhaps <later>|happy birthday, <name>|that isn't true|take care""",
    "manner": """
        quickly|slowly|gently|proudly|quietly|often|always|never|finally|suddenly
        |almost|carefully|secretly|eagerly|already|politely|usually|bravely|nearly
        |sadly|happily""",
    "weather": """
        it rained|it snowed|the fog was thick|thunder rolled|a storm raged
        |the sky was <colour>|the sun shone brightly|snow covered the hills
        |the ice began to melt|clouds gathered""",
    "weather_now": """
        it rains|it snows|the sun comes out|the fog clears|it is <weathered>
        |the storm is over""",
    "weathered": """
        cold|foggy|sunny|windy|cloudy|rainy|icy|humid|stormy|freezing|mild|chilly""",
    "mood": """
        happy|tired|hungry|lonely|angry|nervous|curious|thirsty|sleepy|worried
        |grateful|jealous|brave|confused|cheerful|ashamed|bored|excited|surprised
        |calm""",
    "taste": """
        sweet|sour|salty|bitter|spicy|delicious|awful|fresh|stale|juicy|burnt|creamy
        |crisp|smoky|bland|rich""",
    "colour": """
        red|blue|green|yellow|orange|purple|brown|black|white|pink|golden|silver
        |violet|scarlet|turquoise|beige""",
    "material": """
        wooden|plastic|rusty|marble|leather|paper|glass|copper|iron|woven|rubber
        |stone""",
    "adjective": """
        big|small|old|tiny|huge|heavy|light|strange|lovely|ugly|dusty|shiny|broken
        |smooth|rough|narrow|wide|empty|full|expensive|cheap|beautiful|dangerous
        |ordinary|enormous|modern|ancient|fragile|perfect|round|square|crooked|dirty
        |bright|dark|useful|new""",
    "nature": """
        young|clever|foolish|famous|gentle|cruel|noisy|quiet|graceful|stubborn
        |charming|polite|mysterious|generous|honest|lazy|shy|proud|friendly|clumsy
        |patient|magnificent|fierce""",
    "sound": "loud|soft|dreadful|beautiful|out of tune|strange|distant|sharp|glorious",
    "quality": """
        fascinating|difficult|easy|boring|important|complicated|worth the effort
        |popular|a pleasure|a challenge|his favorite subject""",
    "more": """
        bigger|smaller|older|heavier|lighter|cheaper|louder|brighter|softer|stronger
        |longer|shorter|better|worse|more useful|more fragile|thicker|cleaner""",
    "name": """
        Anna|Peter|Maria|Jack|Susan|Oliver|Grace|Henry|Julia|Victor|Emma|George
        |Alice|Frank|Lucy|Arthur|Helen|Thomas|Ruth|Walter|Clara|Daniel|Fiona|Hugo
        |Irene|Joseph|Kate|Leo|Martha|Nathan|Olga|Paul|Rose|Simon|Theo|Ursula|Vera
        |William|Yolanda|Zoe|Charlotte|Edward|Isabel|Roger|Judith|Philip""",
    "relative": """
        mother|father|brother|sister|uncle|aunt|cousin|nephew|niece|grandmother
        |grandfather|daughter|son|husband|wife|friend""",
    "role": """
        teacher/teachers|doctor/doctors|sailor/sailors|farmer/farmers|baker/bakers
        |judge/judges|nurse/nurses|painter/painters|soldier/soldiers|child/children
        |lawyer/lawyers|stranger/strangers|musician/musicians|engineer/engineers
        |cook/cooks|student/students|fisherman/fishermen|king/kings|queen/queens
        |thief/thieves|poet/poets|guard/guards|captain/captains|neighbor/neighbors
        |shepherd/shepherds|chemist/chemists|boy/boys|girl/girls|woman/women|man/men
        |gardener/gardeners|author/authors|visitor/visitors""",
    "animal": """
        dog/dogs|cat/cats|horse/horses|cow/cows|mouse/mice|fox/foxes|wolf/wolves
        |bear/bears|rabbit/rabbits|squirrel/squirrels|eagle/eagles|owl/owls
        |goose/geese|duck/ducks|chicken/chickens|frog/frogs|snake/snakes
        |turtle/turtles|monkey/monkeys|tiger/tigers|lion/lions|elephant/elephants
        |giraffe/giraffes|zebra/zebras|donkey/donkeys|goat/goats|sheep/sheep
        |spider/spiders|butterfly/butterflies|bee/bees|beetle/beetles|whale/whales
        |dolphin/dolphins|shark/sharks|pigeon/pigeons|raven/ravens
        |hedgehog/hedgehogs""",
    "thing": """
        box/boxes|chair/chairs|table/tables|lamp/lamps|clock/clocks|knife/knives
        |spoon/spoons|bottle/bottles|basket/baskets|bucket/buckets|hammer/hammers
        |ladder/ladders|rope/ropes|candle/candles|mirror/mirrors|pillow/pillows
        |blanket/blankets|carpet/carpets|picture/pictures|letter/letters|book/books
        |pencil/pencils|camera/cameras|radio/radios|telephone/telephones
        |computer/computers|machine/machines|wheel/wheels|key/keys|window/windows
        |door/doors|fence/fences|toy/toys|ball/balls|kite/kites|drum/drums
        |wallet/wallets|umbrella/umbrellas|suitcase/suitcases|ticket/tickets
        |map/maps|treasure/treasures|jewel/jewels|ring/rings|necklace/necklaces
        |statue/statues|vase/vases|cup/cups|plate/plates|kettle/kettles|oven/ovens
        |shelf/shelves|cage/cages|torch/torches|engine/engines|bench/benches
        |stool/stools|brush/brushes|sponge/sponges|package/packages|journal/journals
        |needle/needles|thimble/thimbles|shovel/shovels""",
    "container": """
        box|bottle|basket|bucket|suitcase|wallet|package|vase|cup|kettle|oven|cage""",
    "clothing": """
        coat|jacket|shirt|sweater|hat|scarf|dress|skirt|vest|glove|belt|cap|boot
        |uniform|robe|apron|shoe|sock|collar|sleeve""",
    "food": """
        bread|cheese|butter|soup|rice|beef|fish|honey|sugar|salt|pepper|garlic
        |cabbage|carrots|potatoes|onions|beans|apples|pears|cherries|lemons|oranges
        |grapes|bananas|peaches|strawberries|mushrooms|noodles|sausages|pancakes
        |chocolate|vanilla pudding|ginger cake|walnuts|cream|milk|coffee|lemonade
        |porridge|spinach|yogurt|pumpkin pie|cookies""",
    "vehicle": """
        train|bus|ship|ferry|truck|boat|plane|tram|wagon|bicycle|taxi|canoe|carriage""",
    "instrument": """
        piano|violin|flute|trumpet|guitar|cello|harp|organ|banjo|clarinet|trombone
        |oboe""",
    "room": """
        kitchen|garden|attic|cellar|bathroom|bedroom|hall|library|garage|office
        |theater|classroom|hospital|museum|laboratory|prison|restaurant|forest
        |valley|village""",
    "place": """
        river|bridge|church|station|harbor|market|castle|school|bakery|lake|mountain
        |island|beach|farm|park|fountain|tower|factory|orchard|post office|airport
        |temple|lighthouse|stable|cave|cliff|desert|meadow|swamp|waterfall
        |village square|barn|hotel|palace""",
    "surface": "roof|table|floor|bench|stairs|shelf|porch|stage|bed|deck|balcony|couch",
    "city": """
        London|Paris|Berlin|Rome|Chicago|Boston|Tokyo|Vienna|Madrid|Cairo|Moscow
        |Dublin|Oslo|Geneva|Sydney|Toronto""",
    "topic": """
        history|music|physics|chemistry|poetry|geography|football|politics|astronomy
        |language|mathematics|fashion|health|religion|science|art|gardening|chess
        |photography|justice""",
    "cook": """
        bake/baked|boil/boiled|taste/tasted|order/ordered|serve/served|share/shared
        |buy/bought|cook/cooked|burn/burned|warm/warmed|sell/sold|weigh/weighed
        |smell/smelled|chew/chewed|try/tried|prepare/prepared|finish/finished""",
    "fix": """
        repair/repaired|clean/cleaned|paint/painted|carry/carried|drop/dropped
        |lift/lifted|borrow/borrowed|pack/packed|hide/hid|find/found|lose/lost
        |break/broke|choose/chose|throw/threw|catch/caught|bring/brought|steal/stole
        |push/pushed|pull/pulled|draw/drew|measure/measured|polish/polished
        |take/took|keep/kept|send/sent|touch/touched|describe/described|build/built
        |remember/remembered|forget/forgot|examine/examined""",
    "dress": """
        wash/washed|fold/folded|iron/ironed|stitch/stitched|mend/mended
        |hang up/hung up""",
    "watch": """
        watch/watched|hear/heard|follow/followed|chase/chased|feed/fed
        |photograph/photographed""",
    "greet": """
        thank/thanked|help/helped|call/called|visit/visited|invite/invited
        |trust/trusted|believe/believed|answer/answered|teach/taught|hug/hugged
        |ignore/ignored|forgive/forgave|surprise/surprised|understand/understood
        |marry/married""",
    "steer": """
        drive/drove|steer/steered|stop/stopped|miss/missed|board/boarded|rent/rented""",
    "study": "study/studied|enjoy/enjoyed|teach/taught|discuss/discussed|avoid/avoided",
    "move": """
        walk/walked|run/ran|swim/swam|dance/danced|sing/sang|sleep/slept|jump/jumped
        |wait/waited|laugh/laughed|cry/cried|shout/shouted|whisper/whispered
        |stand/stood|sit/sat|fall/fell|hide/hid|travel/traveled|work/worked
        |rest/rested|play/played|climb/climbed|arrive/arrived|vanish/vanished
        |smile/smiled|kneel/knelt|argue/argued|hesitate/hesitated|wander/wandered
        |fight/fought|speak/spoke""",
}  # fmt: skip
