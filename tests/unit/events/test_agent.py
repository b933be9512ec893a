import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.agent import DEVICES, classify

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

PEOPLE = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36": "desktop",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/17.6 Safari/605.1.15": (
        "desktop"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0": "desktop",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36": "desktop",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) {APPLE} Version/17.6 "
    "Mobile/15E148 Safari/604.1": "mobile",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537.36": "mobile",
    f"Mozilla/5.0 (Linux; Android 9; CUBOT_P20) {CHROME} Mobile Safari/537.36": "mobile",
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-S911B)": "mobile",
    "okhttp/4.9.3": "mobile",
    "MyApp/1 CFNetwork/1490.0.4 Darwin/23.2.0": "mobile",
    f"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) {APPLE} Version/16.6 "
    "Mobile/15E148 Safari/604.1": "tablet",
    f"Mozilla/5.0 (Linux; Android 13; SM-X200) {CHROME} Safari/537.36": "tablet",
    f"Mozilla/5.0 (Linux; Android 11; Lenovo TB-X606F) {CHROME} Safari/537.36": "tablet",
    f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {CHROME} TV Safari/537.36": "tv",
    f"Mozilla/5.0 (Web0S; Linux/SmartTV) {CHROME} Safari/537.36": "tv",
    f"Mozilla/5.0 (Linux; Android 9; AFTT) {CHROME} Safari/537.36": "tv",
    "Roku/DVP-9.10 (519.10E04111A)": "tv",
    "Mozilla/5.0 (PlayStation 4 3.11) AppleWebKit/537.73 (KHTML, like Gecko)": "other",
    "MyServer/2.0": "other",
}
BOTS = [
    "",
    "   ",
    "curl/8.0.1",
    "Wget/1.21",
    "python-requests/2.31",
    "Python-urllib/3.11",
    "Go-http-client/1.1",
    "Java/1.8.0_151",
    f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')} Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 20 subscribers)",
    "FeedBurner/1.0 (http://www.FeedBurner.com)",
    "Mozilla/5.0 (Linux; Android 6.0.1) Mobile Safari/537.36 (compatible; Googlebot/2.1)",
]


@pytest.mark.parametrize(("user_agent", "device"), PEOPLE.items())
def test_people(user_agent, device):
    assert classify(user_agent) == (device, False)


@pytest.mark.parametrize("user_agent", BOTS)
def test_bots(user_agent):
    assert classify(user_agent) == ("bot", True)


@given(st.text(max_size=600))
def test_every_header_gets_a_known_device(user_agent):
    agent = classify(user_agent)
    assert agent.device in DEVICES
    assert agent.bot == (agent.device == "bot")
