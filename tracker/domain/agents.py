"""User agents known by heart: the proxies of mailboxes, and the words by which programs give themselves away."""

import re
from typing import Final

APPLE_MAIL_PRIVACY: Final = "Mozilla/5.0"
"""All that the proxies of Apple's Mail Privacy Protection say, with nothing after it."""

GMAIL_PREFETCH: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
"""What Gmail fetches a picture with before anybody looks. Without its last word this is a person's old Edge."""

_PROXIES = (
    ("googleimageproxy", "gmail_proxy"),
    ("yahoomailproxy", "yahoo_proxy"),
    ("yahoocachesystem", "yahoo_proxy"),
    ("seznamemailproxy", "mail_proxy"),
    ("ramblermail", "mail_proxy"),
    ("fastmailua", "mail_proxy"),
)


def _listed(words: str) -> tuple[str, ...]:
    return tuple(" ".join(words.split()).split(", "))


# Parts of words that are found in the user agents of programs only.
_PARTS = _listed("""
    analyz, archiv, audit, checker, checklink, cloudflare, cloudfront, compatible), crawl, domain, extract,
    facebookexternal, favicon, feed, fetcher, fingerprint, google-, -google, harvest, headless, http client,
    http-client, httpclient, indexer, indexing, inspect, library, lighthouse, link preview, linkcheck,
    linkpreview, lookup, mailto:, meta-external, metadata, monitor, nutch, page speed, pagespeed, parser,
    probe, python, resolver, scan/, /scan, scanner, scanning, scraper, scraping, screenshot, search console,
    shodan, sitemap, slurp, spider, ssl labs, subscriber, survey, synthetic, thousandeyes, thumbnail,
    transcoder, uptime, uripreview, urlpreview, user agent, user_agent, useragent, validator, verification,
    verifier, web preview, webhook
    """)

# Programs by the name they give themselves: a whole word.
_NAMES = frozenset(
    _listed("""
    acunetix, acunetix-product, akka-http, apache-httpclient, apachebench, appinsights,
    applicationhealthservice, appsiteassociation, artifactory, azure-data-factory, azure-logic-apps,
    barracuda, bbtest-net, bdfetch, bingpreview, blogtrottr, brandwatch, braze, btwebclient, buildah,
    buildkit, cakephp, cardyb, catchpoint, chatgpt-user, claude-user, collectd, colly, containerd,
    cpprestsdk, criticalcss, cypress, dareboost, datadog, datanyze, dataprovider, dejaclick, detectify,
    discourse, emailwolf, facebookcatalog, fasthttp, foregenix, functionize, geoipupdate,
    gigablastopensource, github-camo, gmail-content-sampling, gobuster, gomezagent, googleassociationservice,
    grpc-java-netty, gtmetrix, gvfs, harbor-registry-client, hardenize, hatena, httrack, ifttt-protocol,
    imgproxy, inoreader, integromat, ipinfoclient, ips-agent, jaunt, jersey, jetty, jsdom, keycdn-tools,
    kiwitcms-gitops, klhttpclientcurl, kube-probe, larbin, libcurl, libwww-perl, linkdex, lwp-trivial,
    managewp, mandrill-php, marketgoo, masscan, mediapartners, mikrotik, mimecast, monsido, munin, netcraft,
    netvigie, newsblur, newsnow, nextcloud-news, nibbler, nikto, nuclei, omnisend, onetrust, pageburst,
    panscient, pcore-http, perplexity-user, phantomjs, pingdom, pixalate, playwright, postmanruntime,
    printfriendly, prometheus, proofpoint, ptst, puppeteer, request-promise, robozilla, rsiteauditor,
    ruxitsynthetic, scalaj-http, scrapy, searcherweb, securityheaders, selenium, shopify-captain-hook,
    siteimprove, sitelock, skypeuripreview, slack-imgproxy, solarwinds, splunk, sprinklr, sqwatcher,
    statuscake, tcms-api, traackr, trafilatura, trendsmap, typhoeus, updown, uptrends, urlgrabber,
    virustotal, virustotalcloud, watchtowr, webcapture, webchk, webcollage, wget, whatcms, wheresitup,
    wpumbrella, xenu, xmco, xymon, zgrab, zmeu
    """)
)

# Libraries and link previews whose name may stand further on in the user agent of a person's device.
_BEGINNINGS = _listed("""
    ahc/, apache/, aria2/, axios/, bluesky/, curl/, dart/, faraday, go-, http, java/, lwp, monit/,
    newspaper/, node, okhttp, perl, php, req/, request, rest, ruby, tumblr/, viber, whatsapp/, winhttp
    """)

# "Cubot" makes telephones. Other words of people go on after "bot": Caboto, turbotabbee, fuboTV.
_BOT = re.compile(r"(?<!cu)bots?(?![a-z])")

# A person's browser says in this place what it runs on; these are the old ones that did not have to.
_NAME_ALONE = re.compile(r"mozilla/[0-9.]+ \(compatible; ?+(?!msie|konqueror|amiga)[^;()]+\)")

_MAIL_ADDRESS = re.compile(r"[a-z0-9]@[a-z0-9-]+\.[a-z]")
_WORD = re.compile(r"[a-z][a-z0-9-]+")

# Browsers of people that carry the address of the page they come from.
_BROWSERS_WITH_ADDRESS = ("bsalsa.com", "qtweb.net")


def proxy_of(lowered: str) -> str | None:
    """The class of the mailbox proxy that sent this user agent (in lower case); None if no such proxy did.

    These fetch a picture when a person opens the mail, and hide who and where that person is.
    """
    return next((name for part, name in _PROXIES if part in lowered), None)


def names_a_program(lowered: str) -> bool:
    """Whether this user agent (in lower case) is that of a crawler, a library or a link preview.

    An empty one is: what people read with always says its name.
    """
    return (
        not lowered.strip()
        or lowered.startswith(_BEGINNINGS)
        or any(part in lowered for part in _PARTS)
        or ("bot" in lowered and _BOT.search(lowered) is not None)
        or _gives_an_address(lowered)
        or not _NAMES.isdisjoint(_WORD.findall(lowered))
        or _NAME_ALONE.fullmatch(lowered) is not None
    )


def _gives_an_address(lowered: str) -> bool:
    """Whether it says where to read about it or whom to ask, as well-mannered programs do."""
    if "://" in lowered:
        return not any(address in lowered for address in _BROWSERS_WITH_ADDRESS)
    return "@" in lowered and _MAIL_ADDRESS.search(lowered) is not None
