"""The words, as tables: Chinese, English, and what goes with what.

Look first at `THINGS` (nouns with their classifier and kind) and `ACTIONS` (verbs with the kinds of
their objects). A Chinese verb that has several translations, depending on its object, has a row for
each. Two or more spaces separate the columns of a table.
"""

import re
from typing import NamedTuple


def _rows(text: str) -> list[list[str]]:
    """The lines of a table, each a list of its columns, which two or more spaces separate."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines()]


def _words(text: str) -> list[str]:
    """The words of a text, which spaces separate."""
    return text.split()


# --- people ---------------------------------------------------------------------------------------


class Person(NamedTuple):
    """Somebody in every form that a sentence needs: `en` is the English subject, `obj` the object,
    `poss` the possessor.

    `agree` is what a verb agrees with: "I"; "s" for he, she and it; "p" for you and all plurals.
    `again` is the Chinese pronoun by which a second clause names the same person.
    """

    zh: str
    en: str
    obj: str
    poss: str
    agree: str
    again: str


PRONOUNS = {
    zh: Person(zh, en, obj, poss, agree, zh)
    for zh, en, obj, poss, agree in _rows("""
    我    I     me    my     I
    你    you   you   your   p
    他    he    him   his    s
    她    she   her   her    s
    我们  we    us    our    p
    你们  you   you   your   p
    他们  they  them  their  p
    她们  they  them  their  p
    """)
}

# A name is a surname and a given name of one character each.
SURNAMES = dict(
    pair.split(":")
    for pair in _words("""
    王:Wang 李:Li 刘:Liu 陈:Chen 杨:Yang 赵:Zhao 吴:Wu 徐:Xu 孙:Sun 朱:Zhu 胡:Hu
    郭:Guo 林:Lin 罗:Luo 郑:Zheng 梁:Liang 宋:Song 唐:Tang
    韩:Han 冯:Feng 曹:Cao 彭:Peng 蔡:Cai 潘:Pan 邓:Deng 董:Dong 苏:Su 叶:Ye 沈:Shen 袁:Yuan
    """)
)
# Chinese, English, the pronoun.
GIVEN_NAMES = _rows("""
    伟  Wei    他
    强  Qiang  他
    磊  Lei    他
    军  Jun    他
    勇  Yong   他
    杰  Jie    他
    涛  Tao    他
    超  Chao   他
    辉  Hui    他
    浩  Hao    他
    斌  Bin    他
    鹏  Peng   他
    波  Bo     他
    凯  Kai    他
    健  Jian   他
    芳  Fang   她
    娜  Na     她
    敏  Min    她
    静  Jing   她
    艳  Yan    她
    娟  Juan   她
    霞  Xia    她
    婷  Ting   她
    萍  Ping   她
    琳  Lin    她
    倩  Qian   她
    欣  Xin    她
    玲  Ling   她
    蓉  Rong   她
    珊  Shan   她
""")
TITLES = _rows("""
    先生  Mr.        他
    女士  Ms.        她
    医生  Dr.        他
    教授  Professor  她
""")

# The possessor stands without 的 if it is 我, 你, 他 or 她 (我爸爸), with 的 if it is a name
# (王伟的爸爸).
KIN = _rows("""
    爸爸  father           他
    妈妈  mother           她
    哥哥  older brother    他
    姐姐  older sister     她
    弟弟  younger brother  他
    妹妹  younger sister   她
    爷爷  grandfather      他
    奶奶  grandmother      她
    叔叔  uncle            他
    姑姑  aunt             她
    朋友  friend           他
    同学  classmate        她
    同事  colleague        她
    邻居  neighbor         他
    老板  boss             他
""")

# What anybody can be to anybody, whether they are men or women.
ANYONES = [row for row in KIN if row[0] in ("朋友", "同学", "同事", "邻居", "老板")]

# Chinese, classifier, English, the pronoun.
JOBS = _rows("""
    学生    个  student     他
    老师    位  teacher     她
    医生    位  doctor      她
    护士    位  nurse       她
    工程师  位  engineer    他
    律师    位  lawyer      他
    司机    位  driver      他
    厨师    位  cook        他
    演员    位  actor       他
    歌手    位  singer      她
    作家    位  writer      他
    记者    位  reporter    她
    画家    位  painter     他
    农民    个  farmer      他
    警察    个  policeman   他
    服务员  个  waiter      他
    男孩    个  boy         他
    女孩    个  girl        她
    男人    个  man         他
    女人    个  woman       她
    老人    位  old man     他
""")
_NOT_CAREERS = _words("学生 男孩 女孩 男人 女人 老人")
CAREERS = [row for row in JOBS if row[0] not in _NOT_CAREERS]
CHILDREN = [row for row in JOBS if row[0] in ("学生", "男孩", "女孩")]

# --- things ---------------------------------------------------------------------------------------

# Chinese, classifier, English, kind. The classifier of 咖啡 is a word in English, too: cup of
THINGS = _rows("""
    书      本  book       reading
    小说    本  novel      reading
    杂志    本  magazine   reading
    词典    本  dictionary  reading
    报纸    份  newspaper  reading
    信      封  letter     letter
    文章    篇  article    reading
    电影    部  movie      show
    比赛    场  match      show
    节目    个  program    show
    歌      首  song       song
    故事    个  story      story
    苹果    个  apple      fruit
    香蕉    根  banana     fruit
    鸡蛋    个  egg        food
    面包    个  bun        food
    饺子    个  dumpling   food
    蛋糕    块  piece of cake       food
    巧克力  块  piece of chocolate  food
    面条    碗  bowl of noodles     food
    米饭    碗  bowl of rice        food
    咖啡    杯  cup of coffee       drink
    茶      杯  cup of tea          drink
    牛奶    杯  glass of milk       drink
    果汁    杯  glass of juice      drink
    啤酒    瓶  bottle of beer      drink
    水      瓶  bottle of water     drink
    衬衫    件  shirt      clothes
    毛衣    件  sweater    clothes
    外套    件  coat       clothes
    裙子    条  skirt      clothes
    鞋      双  pair of shoes    clothes
    帽子    顶  hat        headwear
    围巾    条  scarf      headwear
    手表    块  watch      headwear
    眼镜    副  pair of glasses  headwear
    手套    副  pair of gloves   headwear
    汽车    辆  car        car
    出租车  辆  taxi       service
    公共汽车  辆  bus      service
    自行车  辆  bike       bike
    摩托车  辆  motorcycle  bike
    门      扇  door       door
    窗户    扇  window     door
    箱子    个  suitcase   box
    盒子    个  box        box
    灯      盏  lamp       machine
    电视    台  TV         machine
    电脑    台  computer   machine
    空调    台  air conditioner  machine
    雨伞    把  umbrella   small
    钥匙    把  key        small
    刀      把  knife      small
    邮票    张  stamp      small
    照片    张  photo      picture
    地图    张  map        picture
    画      幅  painting   picture
    笔      支  pen        small
    铅笔    支  pencil     small
    书包    个  schoolbag  small
    钱包    个  wallet     small
    手机    部  phone      small
    相机    台  camera     small
    礼物    件  gift       small
    玩具    个  toy        small
    杯子    个  cup        dish
    盘子    个  plate      dish
    瓶子    个  bottle     dish
    桌子    张  table      furniture
    床      张  bed        furniture
    椅子    把  chair      furniture
    沙发    张  sofa       furniture
    猫      只  cat        animal
    狗      条  dog        animal
    鸟      只  bird       animal
    鱼      条  fish       animal
    兔子    只  rabbit     animal
    鸭子    只  duck       animal
    马      匹  horse      animal
""")

PLURALS = dict(
    pair.split(":")
    for pair in _words("""
    man:men woman:women policeman:policemen knife:knives scarf:scarves fish:fish
""")
)

# Chinese, the form before a noun, English, comparative ("more" with long ones).
ADJECTIVES = {
    row[0]: row[1:]
    for row in _rows("""
    新      新        new          newer
    旧      旧        old          older
    大      大        big          bigger
    小      小        small        smaller
    重      很重的    heavy        heavier
    贵      很贵的    expensive    more expensive
    便宜    便宜的    cheap        cheaper
    漂亮    漂亮的    beautiful    more beautiful
    舒服    舒服的    comfortable  more comfortable
    有意思  有意思的  interesting  more interesting
    无聊    无聊的    boring       more boring
    有名    有名的    famous       more famous
    奇怪    奇怪的    strange      stranger
    有用    有用的    useful       more useful
    好吃    好吃的    delicious    more delicious
    快      很快的    fast         faster
    好听    好听的    pleasant     more pleasant
    高      很高的    tall         taller
    矮      很矮的    short        shorter
    胖      很胖的    fat          fatter
    瘦      很瘦的    thin         thinner
    年轻    年轻的    young        younger
    聪明    聪明的    smart        smarter
    友好    友好的    friendly     friendlier
    善良    善良的    kind         kinder
    诚实    诚实的    honest       more honest
    努力    努力的    diligent     more diligent
    忙      很忙的    busy         busier
    累      很累的    tired        more tired
    难过    难过的    sad          sadder
    生气    生气的    angry        angrier
    渴      口渴的    thirsty      thirstier
    饿      饥饿的    hungry       hungrier
    幽默    幽默的    funny        funnier
    热情    热情的    warm         warmer
    """)
}
COLOURS = dict(
    pair.split(":") for pair in _words("红:red 白:white 黑:black 蓝:blue 绿:green 黄:yellow")
)
QUALITIES = {
    kind: words.split()
    for kind, words in _rows("""
    person     高 矮 胖 瘦 年轻 聪明 友好 善良 诚实 努力 有名 幽默 热情
    reading    新 旧 有意思 无聊 有名 有用 奇怪
    letter     旧 有意思 无聊 奇怪
    show       新 有意思 无聊 有名 奇怪
    song       新 有名 好听
    story      新 有意思 无聊 有名 奇怪
    fruit      大 小 好吃 贵 便宜
    food       大 小 好吃 贵 便宜
    drink      贵 便宜
    clothes    新 旧 贵 便宜 漂亮 舒服
    headwear   新 旧 贵 便宜 漂亮 奇怪
    car        新 旧 大 小 贵 便宜 漂亮 快 舒服
    service    新 旧 漂亮 舒服
    bike       新 旧 贵 便宜 漂亮 快
    door       新 旧 大 小 漂亮
    box        新 旧 大 小 重 漂亮
    machine    新 旧 大 小 贵 便宜 漂亮
    small      新 旧 贵 便宜 漂亮
    picture    新 旧 漂亮 有名 有意思 奇怪
    dish       新 旧 大 小 漂亮 便宜
    furniture  新 旧 大 小 漂亮 舒服 重
    animal     大 小 漂亮 胖
    """)
}
COLOURED = _words("clothes headwear car bike box dish furniture")
# The adjectives that, with STATES, may follow 太 and 有点儿. 又…又… joins two of these, or two of
# the others.
CRITICAL = _words("旧 小 重 贵 无聊 奇怪 胖 瘦 矮")
# The adjectives by which things are compared; people are compared by all that are said of them.
COMPARED = _words("大 小 新 旧 贵 便宜 漂亮 舒服 有意思 有名")
SUPREME = _words("大 小 贵 便宜 漂亮 舒服 有意思 无聊 有名 奇怪 好吃 好听 有用")
# Merits and faults of a thing, for 虽然…但是….
GOOD = _words("便宜 漂亮 舒服 快 有意思 好吃 有用")
BAD = _words("贵 旧 小 重 奇怪")
# States of people, which are not compared. The first four are reasons not to do something.
STATES = _words("忙 累 难过 生气 渴 饿")

# --- what is done ---------------------------------------------------------------------------------

# Verb, English, the kinds or single words that can be its object, the groups of places for it.
ACTIONS = _rows("""
    看    read       reading letter   home study
    看    watch      show             home
    看    look at    picture          home
    听    listen to  song             home eating
    听    listen to  story            home
    唱    sing       song             outdoors
    讲    tell       story            home school
    吃    eat        fruit food       home kitchen eating
    喝    drink      drink            home kitchen eating
    做    make       饺子 蛋糕 面条  kitchen
    写    write      信 文章 小说 歌 故事  home office
    买    buy        reading clothes headwear fruit food drink machine small  shops city
    卖    sell       reading clothes headwear fruit furniture  shops city
    穿    wear       clothes          -
    戴    wear       headwear         -
    开    drive      car service      city
    开    open       door box         -
    开    turn on    machine          home
    骑    ride       bike             outdoors
    打    hit        children             school
    画    draw       animal           home outdoors
    拍    take       照片             outdoors city
    拍    make       电影 节目        city
    洗    wash       clothes dish fruit car bike  yard
    修    repair     car bike machine door furniture  yard work
    找    look for   small animal     home
    找    look for   children             outdoors
    借    borrow     书 小说 杂志 词典 相机 雨伞  study
    搬    move       furniture box    office home
    丢    lose       small            shops stations
    收到  receive    信 礼物          home
    等    wait for   jobs             stations
    见    meet       jobs             city eating
    帮助  help       jobs             office work
    采访  interview  jobs             city
    感谢  thank      jobs             -
    批评  criticize  jobs             office
    照顾  take care of  children animal  home yard
""")

PUNCTUAL = _words("丢 收到 见 批评 感谢 打 借 穿 戴 开 买 卖")  # not said with 正在
WILLED = [row for row in ACTIONS if row[0] not in ("丢", "收到", "打")]  # what one plans to do
LASTING = [row for row in WILLED if row[0] not in PUNCTUAL]

# Verb, object ("-": none), English, where. The object has no article: what kind of thing one does.
ACTIVITIES = _rows("""
    打    篮球    play basketball     sport
    打    网球    play tennis         sport
    打    乒乓球  play table tennis   sport
    打    电话    make phone calls    home office
    踢    足球    play soccer         sport
    弹    钢琴    play the piano      home
    弹    吉他    play the guitar     home yard
    拉    小提琴  play the violin     home
    下    棋      play chess          home yard outdoors
    跑    步      run                 outdoors sport
    散    步      walk                outdoors
    跳    舞      dance               outdoors sport
    唱    歌      sing                home outdoors
    游    泳      swim                water
    钓    鱼      go fishing          water
    爬    山      climb mountains     -
    看    书      read books          home study
    看    报纸    read newspapers     home office
    看    电视    watch TV            home
    看    电影    watch movies        home
    听    音乐    listen to music     home study
    学    英语    study English       study city
    学    汉语    study Chinese       study city
    教    英语    teach English       school city
    教    数学    teach mathematics   school city
    上    课      have classes        school study
    开    车      drive               -
    开    会      have meetings       office city
    做    饭      cook                kitchen
    做    作业    do homework         home study
    买    东西    do some shopping    shops
    吃    中餐    eat Chinese food    eating kitchen
    吃    西餐    eat Western food    eating
    吃    零食    eat snacks          home office
    喝    咖啡    drink coffee        eating office
    喝    茶      drink tea           home eating
    写    信      write letters       home study
    拍    照      take photos         outdoors city
    洗    衣服    wash clothes        yard
    洗    碗      wash dishes         kitchen
    打扫  房间    clean the rooms     -
    聊    天      chat                eating yard
    睡    觉      sleep               home
    工作  -       work                work office city
    休息  -       rest                home outdoors yard
    学习  -       study               study city
""")
# Activities that one learns: 会 ("can") and 教 ("teach to") take them.
LEARNT = _words(
    "打篮球 打网球 打乒乓球 踢足球 弹钢琴 弹吉他 拉小提琴 下棋 跳舞 唱歌 游泳 开车 做饭"
)

SKILLS = [row for row in ACTIVITIES if row[0] + row[1] in LEARNT]
# What one does while listening to music or drinking tea.
MEANWHILE = [row for row in ACTIVITIES if row[1] in ("音乐", "电视", "咖啡", "茶")]
STILL = [
    row
    for row in ACTIVITIES
    if row[1] in ("作业", "饭", "碗", "衣服", "信", "报纸", "棋", "东西", "零食", "天")
]

# Chinese, where, where to, group.
PLACES = _rows("""
    家      at home                 home                    home
    客厅    in the living room      to the living room      home
    房间    in the room             to the room             home
    厨房    in the kitchen          to the kitchen          kitchen
    院子    in the yard             to the yard             yard
    花园    in the garden           to the garden           yard
    图书馆  in the library          to the library          study
    教室    in the classroom        to the classroom        study
    大学    at the university       to the university       study
    学校    at school               to school               school
    办公室  in the office           to the office           office
    公司    at the company          to the company          office
    工厂    in the factory          to the factory          work
    医院    in the hospital         to the hospital         work
    饭馆    in the restaurant       to the restaurant       eating
    咖啡馆  in the cafe             to the cafe             eating
    酒吧    in the bar              to the bar              eating
    超市    in the supermarket      to the supermarket      shops
    商店    in the store            to the store            shops
    书店    in the bookstore        to the bookstore        shops
    市场    at the market           to the market           shops
    公园    in the park             to the park             outdoors
    广场    on the square           to the square           outdoors
    河边    by the river            to the river            water
    海边    by the sea              to the sea              water
    体育馆  in the gym              to the gym              sport
    操场    on the playground       to the playground       sport
    机场    at the airport          to the airport          stations
    火车站  at the train station    to the train station    stations
    北京    in Beijing              to Beijing              city
    上海    in Shanghai             to Shanghai             city
    广州    in Guangzhou            to Guangzhou            city
    南京    in Nanjing              to Nanjing              city
    西安    in Xi'an                to Xi'an                city
    成都    in Chengdu              to Chengdu              city
    杭州    in Hangzhou             to Hangzhou             city
    香港    in Hong Kong            to Hong Kong            city
    东京    in Tokyo                to Tokyo                abroad
    伦敦    in London               to London               abroad
    巴黎    in Paris                to Paris                abroad
""")
VEHICLES = dict(
    _rows("""
    坐火车      by train
    坐飞机      by plane
    坐地铁      by subway
    坐公共汽车  by bus
    坐出租车    by taxi
    骑自行车    by bike
    开车        by car
""")
)
LOCAL = _words("study school work office eating shops outdoors sport stations")
BETWEEN_CITIES = _words("坐飞机 坐飞机 坐火车 坐公共汽车 开车")
IN_TOWN = _words("坐地铁 坐公共汽车 坐出租车 骑自行车 开车")
# Where a thing can lie: on which side of a piece of furniture or of a container.
SIDES = dict(
    _rows("""
    上    on
    里    in
    下面  under
    旁边  next to
    后面  behind
""")
)
SPOTS = _rows("""
    桌子  table         上 下面 旁边
    床    bed           上 下面 旁边
    椅子  chair         上 下面 旁边 后面
    沙发  sofa          上 下面 旁边 后面
    书架  bookshelf     上 旁边 后面
    箱子  suitcase      里 上 旁边
    盒子  box           里 上 旁边
    抽屉  drawer        里
    书包  schoolbag     里 旁边
    柜子  cupboard      里 上 旁边 后面
    冰箱  refrigerator  上 旁边 后面
    门    door          后面 旁边
""")

SMALL_THINGS = "small reading letter picture dish fruit headwear"  # what lies in such spots

# --- when -----------------------------------------------------------------------------------------

DAYS = dict(
    _rows("""
    一  Monday
    二  Tuesday
    三  Wednesday
    四  Thursday
    五  Friday
    六  Saturday
    日  Sunday
""")
)
# The parts of a day, with their hours. They follow a day (昨天, 明天, 每天).
PARTS = {
    zh: (en, hours.split())
    for zh, en, hours in _rows("""
    早上  morning    六 七 八 九
    上午  morning    八 九 十
    下午  afternoon  两 三 四 五
    晚上  evening    六 七 八 九
    """)
}
PAST = dict(
    _rows("""
    前天    the day before yesterday
    上周    last week
    上周末  last weekend
    刚才    just now
""")
)
PAST_FAR = dict(
    _rows("""
    上个月    last month
    去年      last year
    去年夏天  last summer
    去年冬天  last winter
""")
)
AGO = _rows("""
    天      days
    个星期  weeks
""")
AGO_FAR = _rows("""
    年    years
    个月  months
""")
FUTURE = dict(
    _rows("""
    后天    the day after tomorrow
    下周    next week
    下周末  next weekend
    今天晚上  tonight
""")
)
FUTURE_FAR = dict(
    _rows("""
    下个月    next month
    明年      next year
    明年夏天  next summer
    明年冬天  next winter
""")
)
HABIT = dict(
    _rows("""
    每天      every day
    每天早上  every morning
    每天下午  every afternoon
    每天晚上  every evening
    每个周末  every weekend
    每个月    every month
""")
)
ADVERBS = dict(
    _rows("""
    经常    often
    总是    always
    有时候  sometimes
    很少    seldom
    从来不  never
""")
)

# --- numbers and duration -------------------------------------------------------------------------

NUMBERS = dict(
    _rows("""
    两    two
    三    three
    四    four
    五    five
    六    six
    七    seven
    八    eight
    九    nine
    十    ten
    二十  twenty
    三十  thirty
    五十  fifty
""")
)
FEW = _words("两 三 四 五 六 七 八 九 十")

# --- what is done to a thing (把, 被), and to a person --------------------------------------------

# Verb with its result, English ({} stands for the thing), kinds or words.
RESULTS = _rows("""
    打破    break {}        dish 窗户
    弄丢    lose {}         letter small reading picture headwear
    弄坏    damage {}       machine car bike furniture 相机 手机
    弄脏    make {} dirty   clothes
    修好    repair {}       machine car bike furniture
    洗干净  clean {}        clothes dish
    关上    close {}        door box
    关掉    turn off {}     machine
    卖掉    sell {}         car bike furniture machine
    扔掉    throw away {}   letter clothes furniture reading
    藏起来  hide {}         small picture
    拿走    take away {}    letter small reading dish picture
    搬走    carry away {}   furniture box
    偷走    steal {}        small bike picture car
    借走    borrow {}       reading bike car
    吃掉    eat {}          fruit food
""")
# What owners do on purpose, what happens by mistake, and what others do (said with 被).
ON_PURPOSE = _words("修好 洗干净 关上 关掉 卖掉 扔掉 藏起来 搬走")
BY_MISTAKE = _words("打破 弄丢 弄坏 弄脏")
BY_OTHERS = _words("打破 弄坏 弄脏 修好 关掉 卖掉 扔掉 拿走 搬走 偷走 借走 吃掉")
TREATMENTS = _rows("""
    批评  criticize
    表扬  praise
    骗    cheat
    打    hit
    救    save
    邀请  invite
""")
# Giving: verb, English, verb after 把, kinds.
GIVING = _rows("""
    送  give    送给  small reading clothes headwear picture
    借  lend    借给  reading bike car
    寄  send    寄给  reading letter clothes picture
    还  return  还给  reading bike small
""")

# --- verbs that change ----------------------------------------------------------------------------

# Base, past, participle; all others take -ed.
IRREGULAR = {
    row[0]: (row[1], row[2])
    for row in _rows("""
    have    had      had
    do      did      done
    go      went     gone
    make    made     made
    read    read     read
    sing    sang     sung
    tell    told     told
    eat     ate      eaten
    drink   drank    drunk
    write   wrote    written
    buy     bought   bought
    sell    sold     sold
    wear    wore     worn
    drive   drove    driven
    ride    rode     ridden
    hit     hit      hit
    draw    drew     drawn
    take    took     taken
    lose    lost     lost
    meet    met      met
    run     ran      run
    swim    swam     swum
    teach   taught   taught
    sleep   slept    slept
    put     put      put
    leave   left     left
    break   broke    broken
    give    gave     given
    send    sent     sent
    lend    lent     lent
    steal   stole    stolen
    hide    hid      hidden
    throw   threw    thrown
    think   thought  thought
    find    found    found
    know    knew     known
    get     got      got
    come    came     come
    """)
}
DOUBLED = _words("run swim hit put chat plan get")  # running, chatted
