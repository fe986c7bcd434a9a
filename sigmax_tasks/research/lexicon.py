"""Words and phrases of the crypto market with hand-set valences, on the scale of VADER (-4 to 4).

VADER (Hutto and Gilbert, 2014) was made for social media: it misses the words that matter here
("plunge", "exploit", "all-time high") and misreads others ("trust", "interest", "securities").
The tables below come before VADER's own. All valences are set by hand from what the word usually
means for the price of a coin; none is fitted. Rough scale, either sign:

- 2.4 to 3: a heavy market move, or an event that makes one (crash, hack, spot ETF approved);
- 1.7 to 2: a plain market move or a hard fact (rally, drop, lawsuit, rate cut);
- 1 to 1.3: a good or bad sign (adoption, partnership, delay, scrutiny);
- 0.4 to 0.7: business that goes on well or is hampered (launches, adds, oversight);
- 0.19: counts only beside others: alone it stays below the threshold of 0.05;
- 0: silences VADER's own entry, or a charged word inside a fixed expression.

Entries are in lower case without hyphens, separated by commas; a phrase beats its words.
"""

from __future__ import annotations


def _entries(text: str) -> list[str]:
    return [" ".join(entry.split()) for entry in text.split(",")]


_BY_VALENCE: dict[float, str] = {
    2.8: """
        approval of spot, approved spot, approves bitcoin etf, approves ether etf,
        approves spot, etf approval, etf approvals, etf approved, moon, mooning,
        skyrocket, skyrocketed, skyrocketing, skyrockets, to the moon
    """,
    2.4: """
        all time high, all time highs, ath, ban lifted, blasts past, bull run, bullish,
        etf inflows, god candle, golden cross, lifts ban, new ath, new high, new highs,
        parabolic, price discovery, record high, record highs, record inflows, rocket,
        rockets, short squeeze, smashes, soar, soared, soaring, soars, surge, surged,
        surges, surging, unbans
    """,
    2.0: """
        accumulates, accumulating, accumulation, bitcoin reserve, breakout, breaks out,
        bull market, bulls, buy the dip, buying pressure, case dismissed, charges dropped,
        dovish, drops case, drops charges, drops lawsuit, inflow, inflows, legal tender,
        legal victory, outperform, outperformed, outperforming, outperforms, rallied,
        rallies, rally, rallying, rate cut, rate cuts, risk on, strategic reserve,
        uptrend, wagmi, wins lawsuit
    """,
    1.7: """
        acquitted, bear market ends, bear market is over, bear market over, bottomed,
        bounce, bounced, bounces, bounces back, breaks above, breaks record, breaks
        through, broke above, bullishness, cleared, cooling inflation, crypto winter ends,
        cut rates, cuts interest rates, cuts rates, easing, end of bear market, given the
        nod, green light, greenlight, greenlights, highest, hodl, in the green, inflation
        cools, inflation eases, inflation slows, jump, jumped, jumping, jumps, lambo, lift
        ban, new record, not a security, oversold, quantitative easing, rebound,
        rebounded, rebounding, rebounds, record breaking, recover, recovered, recovering,
        recovers, recovery, sets record, short liquidations, shorts liquidated, smashes
        through, spike, spikes, stimulus, surpass, surpassed, surpasses, tops,
        undervalued, up only, upgrade to buy, upside, winter is over
    """,
    1.3: """
        accumulated, adopt, adopting, adoption, adopts, advance, advanced, advances,
        airdrop, airdrops, all time, approval, approve, approved, approves, bet on
        bitcoin, bitcoin friendly, boom, booming, booms, bought bitcoin, burn, burned,
        burns, buyback, buybacks, buys bitcoin, clears the way, clears way, climb,
        climbed, climbing, climbs, crossed, crosses, crypto friendly, diamond hands,
        doubled, doubles, exceed, exceeds, exchange outflows, fears ease, gain, gained,
        gaining, gains, gets license, granted license, growing demand, halvening, halving,
        higher, highs, hits high, holds above, institutional demand, leaves exchanges,
        licence, licensed, mainstream, mass adoption, milestone, net inflow, obtains
        license, outpaces, pump, pumped, pumping, pumps, quadruples, receives license,
        record, recovered funds, recovers funds, regulatory approval, returns funds,
        returns stolen, rise, rises, rising, rose, scalability, soft landing, stockpile,
        stockpiled, strong demand, support level, treasury strategy, tripled, triples,
        upward, whales buy, wins approval, wins license
    """,
    1.0: """
        accept, accepted, accepting, accepts, acquire, acquired, acquires, acquiring, add
        support, adds support, backed, backs, boost, boosted, boosts, bought,
        breakthrough, buy, buying, buys, buys more, collaborate, collaborates,
        collaboration, commits, crosses above, debut, debuts, demand for, double down,
        doubles down, doubling down, embrace, embraces, endorses, exceeded, expand,
        expanded, expanding, expands, expansion, favorable, first ever, first time,
        funding, fundraise, fundraises, fundraising, gets listed, go public, goes public,
        going public, great, grew, grow, growing, grows, growth, injects, institutional,
        institutions, integrate, integrated, integrates, integration, invest, invested,
        investment, invests, lands, led by, listed on, lists on, losses narrow, love, more
        bitcoin, nets, optimistic, oversubscribed, partner, partnered, partnering,
        partners, partnership, pledges, popularity, profit, profitable, profits, purchase,
        purchased, purchases, raise, raised, raises, raising, reopens, restored, resume,
        resumes, revenue, reward, rewards, round, secured, secures, seed, series a, series
        b, series c, series d, series e, staked, stakes, support for, take the plunge,
        takes plunge, takes the plunge, team up, teams up, tokenization, tokenize,
        tokenized, unicorn, upgrade, upgraded, upgrades, valuation, win, win approval,
        wins
    """,
    0.7: """
        add, added, adding, adds, allow, allows, applies for, attracts, begins, best,
        bring, bringing, brings, bug fixed, carbon neutral, cheaper, chooses, debuted,
        develops, donate, donates, donation, drives, eco friendly, empower, empowers,
        enable, enables, enter, enters, extends, faster, fetches, fuel, fuels, fully
        regulated, generated, generates, goes live, good, hacker returns, hackers return,
        hiring, hits, in talks, innovation, interoperability, introduce, introduces,
        introducing, joins forces, kicks off, launch, launched, launches, launching, layer
        2, live on, makes it easier, merger, move into, moves into, offer, offering,
        offers, opened, opening, opens, poised, proposes, push, pushes, renewable, roll
        out, rolling out, rollout, rolls out, safe haven, scaling, selects, sells for,
        signs, sold for, sponsor, sponsorship, started, starts, strengthen, supporting,
        supports, tackle, taps, tops list, unveil, unveiled, unveils
    """,
    0.4: """
        blockbuster, bug fix, dominating, fixes bug, fixes vulnerability, trillion,
        volume, white hat hacker
    """,
    0.19: """
        aims to, announce, announced, announces, another, available, become, becomes,
        bridge, build, building, builds, considering, considers, decentralized, enabling,
        etf, explores, exploring, eyes, filed for, files for, filing for, gives, high,
        hopes, ipo, lead, leads, mainnet, marketplace, pilot, plans to, prepares,
        preparing, provide, provides, providing, ready to, release, releases, set to,
        solution, solutions, start, start up, trial, up, via, wants to
    """,
    0.0: """
        ability, able, active, adventure, agreement, agreements, alert, alerts, alone,
        aml, anti, anti money laundering, argue, argued, argues, art blocks, asset,
        assets, authority, battle, bear case, benefit, benefits, better, block, bored,
        bored ape, bug bounty, bull case, burn address, buy side, capable, care, certain,
        challenge, challenger, challenges, chance, charitable, charities, charity, common,
        cool, crash course, create, created, creates, creating, credit, credits, cutting
        edge, dead, death, debt offering, debt sale, dedicated, defense, defi, demand,
        difficulty, discord, dominance, drop in, drop nft, dynamic, dynamics, ease,
        easily, easy, efficient, energy, fantastic, fear and greed, fear greed index, fed
        chair, fight, fine, fit, focus, focused, for sale, free, fresh, fun, gains support
        from, game, gift, god, gold, grand, greater, hackathon, hackathons, hand, hard,
        hard fork, hash rate, help, helping, helps, high level, high school, hope, huge,
        ideal, important, improve, intellectual property, intelligence, interest,
        interested, interests, join, joined, jp, killer, kind, launch date, law
        enforcement, layer 1, legal, like, liked, likes, limited, lobby, lobbying, long
        term, low, luxury, market makers, matter, matters, merit, merits, mutant ape,
        natural, nft drop, no, non aggression, non fungible, number, ok, opportunity,
        optimism, original, paid, parties, party, passive income, pay, pays, play, played,
        playing, plays, please, popular, private debt, prize, promise, promote, proof of
        burn, raises the question, reach, reached, reaches, ready, record date, resolve,
        respectively, riot blockchain, riot platforms, risk free, risk management, safe,
        secret, secure, securities, security, security token, security tokens, sell side,
        share, shared, shares, sharing, short term, significant, smart, special,
        stability, stable, stop, stop losses, stress test, swift, talent, thanks, token
        sale, top, treasuries, treasury, true, trust, trust fund, trusted, trusts, united,
        valuable, value, valued, values, want, wants, war, wealth, well, white hat, won,
        woo, worth
    """,
    -0.4: """
        short sellers, stop loss
    """,
    -0.7: """
        absurd, against, blame, blames, brace, braces, calls on, compliance concerns,
        cooled, cools, demands, denied, denies, despite, end of, ending, ends, fraction,
        hearing, irs, less than, ordered, orders, oversight, ransom, regulator,
        regulators, resigns, scrutiny, sell, shaky, step down, stepping down, steps down,
        stricken, tax, taxation
    """,
    -1.0: """
        profit taking, tariff, tariffs
    """,
    -1.3: """
        abandons, bag holder, bagholder, bagholders, blasts, bottleneck, burden, canceled,
        cancelled, cancels, caution, cautious, censoring, censorship, complaint,
        complaints, controversial, controversy, criminal activity, crisis, criticism,
        criticized, criticizes, critiques, crunch, curb, curbing, curbs, cut, cuts,
        cutting, danger, dangerous, debt, delay, delayed, delays, disappointing,
        dismisses, dispute, down, enforcement, environmental impact, exchange inflows,
        exit, exits, falsely, hot seat, hurt, hurts, illiquid, inflation, issue with,
        lagging, lags, levy, limits, lower, lows, mandatory, misses, negative, no longer,
        on edge, oppose, opposes, opposing, opposition, overheated, paper hands,
        postponed, postpones, pressure, problem, problems, pulls out, punts, questions,
        raises questions, rally stalls, record discount, reverses, risk, risks, risky,
        scraps, selling, shortage, skeptic, skeptical, slams, speculative, stagnant,
        stall, stalls, stops taking, stricter, struggled, stuck, suffer, suffers,
        surrender, surrenders, tax evasion, taxes, threat, threatens, threats, tighten,
        tightening, tightens, tighter, token unlock, under fire, unlock, unlocks,
        volatile, volatility, withdraw, withdraws
    """,
    -1.7: """
        accused, accuses, accusing, allegations, alleged, allegedly, alleges, backlash,
        below support, blocked, blocking, blocks, breaks below, broke below, cease and
        desist, concern, concerns, congestion, correction, decline, declined, declines,
        declining, defaulted, denounce, denunciations, detain, detained, dip, dipped,
        dips, downgrade, downgrades, downtime, drama, drop, dropped, dropping, drops,
        enforcement action, enforcement actions, failed, fails, failure, fake, fall,
        fallen, falling, falls, falsely claims, fear, fears, fell, fined, fines, flee,
        flees, flight to safety, freeze, freezes, froze, frozen, halt, halted, halts,
        higher for longer, hike rates, hikes rates, in the red, investigates,
        investigating, investigation, investigations, is a security, job cuts, lay off,
        layoffs, lays off, lose, loses, losing, loss, losses, lost, lowest, misleading,
        misled, outcry, overbought, overvalued, penalty, probe, probed, probes, prohibit,
        prohibited, prohibits, pullback, pulls back, quantitative tightening, raise
        interest rates, raise rates, raises concern, raises concerns, raises interest
        rates, raises rates, rally fades, reject, rejected, rejection, rejects, restrict,
        restricted, restriction, restrictions, restricts, retreat, retreated, retreats,
        seized, seizes, seizure, sell the news, settles charges, settles with, shitcoin,
        slip, slipped, slipping, slips, stoppage, struggle, struggles, struggling,
        subpoena, subpoenas, suit, suspects, suspend, suspended, suspending, suspends,
        suspicious, tough, tougher, turmoil, uncertainty, violated, violation, violations,
        warn, warned, warning, warnings, warns, weak, weaker, weakness, whales sell,
        worries
    """,
    -2.0: """
        arrest, arrested, arrests, attack, attacked, attacker, attackers, attacks, ban,
        banned, banning, bans, bear trap, bubble, bug, bugs, bull market is over, bull run
        is over, bull run over, bull trap, charged with, class action, convicted,
        crackdown, cracking down, cracks down, crimes, criminals, dead cat bounce,
        default, defaults, defunct, delist, delisted, delisting, delists, downside,
        downtrend, extortion, fud, guilty, halted trading, hawkish, hijack, hijacked,
        hijacks, illegal, illicit, indicted, indictment, investors flee, jailed, launder,
        laundering, lawsuit, lawsuits, malware, money laundering, outflow, outflows,
        phishing, raises alarm, rally is over, ransomware, rate hike, rate hikes, risk
        off, sanctioned, sanctions, sank, selling pressure, sentenced, shut down,
        shutdown, shuts down, shuttered, shutting down, sink, sinking, sinks, slid, slide,
        slides, sliding, slump, slumped, slumping, slumps, sue, sued, sues, suing,
        terrorist, underwater, unregistered, vulnerability, wash trading
    """,
    -2.4: """
        all time low, bear market, bearish, bears, breach, breached, contagion, crypto
        winter, death cross, double spend, drained, drains, dump, dumped, dumping, dumps,
        etf outflows, etf rejected, exploit, exploited, exploits, flash loan attack,
        fraud, fraudulent, freezes withdrawals, hacker, hackers, halts withdrawals, heist,
        liquidated, liquidation, liquidations, long liquidations, longs liquidated, margin
        calls, new low, new lows, ngmi, nosedive, nosedives, outage, panic, pauses
        withdrawals, plummet, plummeted, plummeting, plummets, plunge, plunged, plunges,
        plunging, price manipulation, recession, record loss, record losses, record low,
        record lows, record outflows, rejects etf, scam, scammer, scammers, scams, sec
        charges, sec sues, sell off, sell offs, selloff, selloffs, steal, stealing,
        steals, stole, stolen, suspends withdrawals, theft, tumble, tumbled, tumbles,
        tumbling, withdrawals halted
    """,
    -2.8: """
        bank run, bankrupt, bankruptcy, bloodbath, capitulates, capitulation, chapter 11,
        collapse, collapsed, collapses, collapsing, crash, crashed, crashes, crashing,
        death spiral, depeg, depegged, depegging, depegs, exit scam, goes to zero, hack,
        hacked, hacks, insolvency, insolvent, meltdown, ponzi, pump and dump, rekt, rug
        pull, rug pulled, rugged, rugpull, wiped out, wipes out
    """,
    -3.0: """
        hopes dashed, hopes dim, hopes fade
    """,
}

VALENCES: dict[str, float] = {
    entry: valence for valence, text in _BY_VALENCE.items() for entry in _entries(text)
}
"""Word or phrase (lower case, single spaces) -> valence."""

LONGEST_PHRASE: int = max(entry.count(" ") + 1 for entry in VALENCES)

UNSURE_WORDS: frozenset[str] = frozenset(
    _entries(
        """
        could, denied, denies, deny, if, may, might, rumored, rumoured, unlikely, whether,
        would
        """
    )
)
"""Words that make what follows a possibility: valences within reach count half."""

NEGATING_PHRASES: frozenset[str] = frozenset(
    _entries(
        """
        averts, avoids, blocks, dismissed, dismisses, drops plans, ends, fail to, failed to,
        failing to, fails to, halts, no, no evidence of, no plans to, no sign of, prevent,
        prevented, prevents, refused to, refuses to, rejected, rejects, scraps, stalls,
        unable to, yet to
        """
    )
)
"""Negators beside VADER's own; those with a valence keep it as well."""

INVERSE_SUBJECTS: frozenset[str] = frozenset(
    _entries(
        """
        cpi, crime, criminal, discount, dollar, fear, fears, fees, fraud, gas, hacks,
        illicit, inflation, liquidations, losses, outflows, scams, selling, thefts,
        unemployment, unlocks, vix, volatility, yields
        """
    )
)
"""Things whose rise is bad and whose fall is good: a move beside them changes its sign."""

MOVES: frozenset[str] = frozenset(
    _entries(
        """
        advance, advanced, advances, bounce, bounced, bounces, climb, climbed, climbing,
        climbs, cool, cooled, cools, crash, crashed, crashes, crashing, decline, declined,
        declines, declining, dip, dipped, dips, down, drop, dropped, dropping, drops, dump,
        dumped, dumps, ease, eased, eases, fall, fallen, falling, falls, fell, gain, gained,
        gaining, gains, grew, grow, growing, grows, high, higher, highs, increase,
        increased, increases, increasing, jump, jumped, jumping, jumps, lose, loses, losing,
        lost, low, lower, lows, nosedive, nosedives, plummet, plummeted, plummeting,
        plummets, plunge, plunged, plunges, plunging, pump, pumped, pumps, rallied, rallies,
        rally, rallying, rebound, rebounded, rebounding, rebounds, recover, recovered,
        recovers, retreat, retreated, retreats, rise, rises, rising, rocket, rockets, rose,
        sank, shed, sheds, sink, sinking, sinks, skyrocket, skyrocketed, skyrockets, slid,
        slide, slides, sliding, slip, slipped, slipping, slips, slump, slumped, slumping,
        slumps, soar, soared, soaring, soars, spike, spiked, spikes, surge, surged, surges,
        surging, tumble, tumbled, tumbles, tumbling, up
        """
    )
)
"""Words of a move, up or down; a percentage within reach scales them."""
