"""The Japanese text of a proposal: the same figures in the same order as the English one (metering §7.6)."""

from __future__ import annotations

from datetime import date
from statistics import median

from inventory.congestion import DEFAULT_RULES
from inventory.forecast import NoDate, Outlook
from inventory.links import USED_PERCENT, CapacityKind, Direction
from inventory.metering import rate_bps
from inventory.processors import BUSY_PERCENT
from inventory.proposalmoney import Money
from inventory.proposalreasons import words_ja
from inventory.proposals import LINE_SHARE, PROCESSOR_WITNESS, LineNeed, Need, Remedy, RemedyKind
from inventory.proposaltext import WEEK, Facts, TrackRecord, judged_by, mbps

_SOURCES = {
    CapacityKind.LINE: "運用者が登録した回線速度",
    CapacityKind.SHAPED: "設定内のシェーパー",
    CapacityKind.PORT: "ポートのリンク速度",
    CapacityKind.MODEL: "機種の公表値または登録値",
    CapacityKind.LEARNED: "トラフィックからの推定値",
}
_DIRECTIONS = {Direction.DOWN: "下り", Direction.UP: "上り", Direction.DEVICE: "機器の上下合計"}
_DAYS = {"now": "本日", "free": "残余期間の料金が不要となる最初の日", "saturation": "飽和予測日"}


def sentence_ja(facts: Facts) -> str:
    """The proposal in Japanese, with its figures."""
    utils = facts.packet_utils or [day.figures.busy_util for day in facts.valid if day.figures.busy_util is not None]
    hot = sum(util >= DEFAULT_RULES.congested_util for util in utils[-WEEK:])
    direction = _DIRECTIONS[facts.direction]
    subject = direction if facts.direction is Direction.DEVICE else f"{facts.interface}（{direction}）"
    used, nominal = judged_by(facts)
    where = f"{facts.place}の" if facts.place else ""
    since = f"、{facts.since.isoformat()}から" if facts.since else ""
    parts = [
        f"{where}{subject}：判定の基準は{used}（{_SOURCES[facts.capacity.kind]}{since}、"
        f"{nominal}の{USED_PERCENT[facts.capacity.kind]} %）。"
    ]
    if utils:
        busy = "パケット数の最繁時" if facts.packet_utils else f"最繁時（{facts.busy_clock}）"
        parts.append(
            f"{busy}の使用率は{100 * median(utils):.0f} %（{len(utils)}日間の中央値）、"
            f"直近の測定日{len(utils[-WEEK:])}日のうち{hot}日で85 %を超過。"
        )
    low = mbps(rate_bps(facts.p95.low))
    high = None if facts.p95.high is None else mbps(rate_bps(facts.p95.high))
    shown = f"{low}以上" if high is None else low if low == high else f"{low}～{high}"
    parts.append(
        f"直近28日の95パーセンタイルは{shown}、測定率{100 * facts.coverage:.1f} %、グレード{facts.p95.grade}。"
    )
    if isinstance(facts.outlook.saturation, date):
        parts.append(_growth(facts.outlook, facts.outlook.saturation))
    elif facts.outlook.saturation is NoDate.ALREADY:
        parts.append("週ごとの最繁時は既に85 %を超過。")
    parts.append(_recommendation(facts))
    if facts.money:
        parts += _money(facts.money)
    elif facts.remedy.monthly_delta_yen is not None:
        parts.append(f"月額料金の差額は{facts.remedy.monthly_delta_yen:+,}円（税抜）。")
    if facts.record:
        parts.append(_backtest(facts.record))
    return "".join(parts)


def _growth(found: Outlook, reached: date) -> str:
    pace = f"週あたり{mbps(found.slope_bps_per_week or 0)}、Z = {found.mann_kendall_z or 0:.1f}"
    early, late = (day.isoformat() if isinstance(day, date) else "なし" for day in (found.early, found.late))
    return f"現在の増加（{pace}）が続くと{reached.isoformat()}に85 %に達する見込み（80 %区間：{early}～{late}）。"


_OF = {"link": "この回線", "group": "同種の回線", "fleet": "全回線"}


def _backtest(found: TrackRecord) -> str:
    if not found.warnings:
        return f"過去の検証：{_OF[found.of]}では{found.origins}回の試行で同様の予告なし。"
    ahead = "" if found.median_days_ahead is None else f"、予告は中央値で{found.median_days_ahead:.0f}日前"
    return f"過去の検証：{_OF[found.of]}での同様の予告{found.warnings}件のうち{found.came_true}件が的中{ahead}。"


def _line(found: Remedy, need: Need) -> str:
    if not need.uneven:
        rate = need.line_bps / LINE_SHARE if found.line_rate_bps is None else found.line_rate_bps
        return f"{mbps(rate)}{'以上' if found.line_rate_bps is None else ''}の回線"
    wanted = "・".join(f"{_DIRECTIONS[one.direction]}{mbps(one.least_bps)}以上" for one in need.directions)
    if found.line_rate_bps is not None:
        wanted = f"上り下りとも{mbps(found.line_rate_bps)}"
    return f"{wanted}の回線（現在は{'、'.join(_now(one) for one in need.directions)}）"


def _now(one: LineNeed) -> str:
    name = _DIRECTIONS[one.direction]
    if one.rate_bps is None:
        return f"{name}は不明"
    return f"{name}{mbps(one.rate_bps)}で{'不足' if one.short else '十分'}"


def _recommendation(facts: Facts) -> str:
    found, need = facts.remedy, facts.need
    line = _line(found, need)
    model = f"機種{found.model}"
    if facts.current.device_class == "III":
        model = f"この種の機種：{found.model}"
    packets = f"・{need.device_pps:,.0f} packets/s" if need.device_pps else ""
    reached = f"今後12か月に機器を通る必要量は{mbps(need.device_bps)}{packets}"
    if PROCESSOR_WITNESS in found.notes:
        reached = (
            f"直近の測定日7日のうち{need.strained_days}日、回線の使用率が70 %未満の最繁時の半分以上で"
            f"プロセッサ使用率が{BUSY_PERCENT} %以上。公表値がないため必要量は示しません"
        )
    match found.kind:
        case RemedyKind.LINE:
            stays = "機器の性能値は限界ではなく、機種の変更は不要"
            if found.reason:
                stays = f"機種が足りるかどうかは判断できません（{words_ja(found.reason)}）"
            return f"提案：{line}。{stays}。"
        case RemedyKind.MODEL:
            return f"提案：{model}（{reached}）。回線の変更は不要。"
        case RemedyKind.LINE_AND_MODEL:
            return f"提案：{line}と{model}（{reached}）。機器の変更だけでは改善しません。"
        case RemedyKind.NONE:
            return f"提案はありません（{words_ja(found.reason or '')}）。"


def _money(found: Money) -> list[str]:
    at = found.recommended
    once = "、".join(
        f"{_DAYS[one.name]}（{one.day.isoformat()}）{one.once_yen:,}円"
        f"（うち{found.line}の最低利用期間の残余分{one.rest.yen:,}円）"
        for one in found.days
    )
    return [
        f"月額料金は{found.monthly_old_yen:,}円から{found.monthly_new_yen:,}円（差額{found.monthly_delta_yen:+,}円、税抜）。",
        f"一時費用：{once}。",
        f"期限内で最も安い日：{_DAYS['now'] if at.name == 'now' else at.day.isoformat()}、{at.once_yen:,}円。",
        f"その場合の新しい最低利用期間の末日は{found.new_period_end.isoformat()}。",
    ]
