"""What the page says, in English and Korean side by side: key -> (English, Korean).

English may be a pair (one, many), chosen by `n`. Both languages name the same values. Korean is
written so that no particle hangs on a value, whose last syllable nobody knows.
"""

from __future__ import annotations

from tasks.portrait.phrases_findings import FINDING_PHRASES

Phrase = tuple[str | tuple[str, str], str]

PHRASES: dict[str, Phrase] = {
    # --- the frame ---------------------------------------------------------------------------
    "page.title": ("Customers of {name}, {date}", "{name} 고객 리포트, {date}"),
    "page.kicker": ("Customer report", "고객 리포트"),
    "page.as_of": ("As of {date}", "{date} 기준"),
    "page.skip": ("Skip to the content", "본문으로 바로 가기"),
    "page.contents": ("On this page", "이 페이지의 내용"),
    "page.table": ("The figures as a table", "표로 보기"),
    "page.drawing": ("Drawing …", "그래프를 그리는 중 …"),
    "page.undrawn": (
        "This browser cannot draw the figure; the table below says the same.",
        "이 브라우저에서는 그래프를 볼 수 없습니다. 아래 표에 같은 내용이 있습니다.",
    ),
    "page.copy": ("Copy", "복사"),
    "page.copied": ("Copied", "복사됨"),
    "page.stale": (
        "These figures are of {old}, not of {new}. This command brings them up to date:",
        "{new} 기준이 아니라 {old} 기준 수치입니다. 다음 명령으로 최신 수치를 만들 수 있습니다.",
    ),
    "page.missing": ("Nothing is known of this yet.", "아직 분석 결과가 없습니다."),
    "page.makes_it": ("This command finds it out:", "다음 명령으로 분석할 수 있습니다."),
    "page.notes": (
        ("{n} note on these figures", "{n} notes on these figures"),
        "이 수치에 대한 참고 {n}건",
    ),
    "page.in_english": ("The reasons in full", "판단 근거(영문)"),
    "nav.served": ("Model or rule", "모델·규칙"),
    "nav.grid": ("Value and risk", "가치·위험"),
    "nav.groups": ("Groups", "고객 그룹"),
    "nav.moves": ("Movements", "이동"),
    "nav.reasons": ("Reasons", "이유"),
    "nav.leaving": ("Timing", "시점"),
    "nav.value": ("Worth", "생애 가치"),
    "nav.forecasts": ("Forecasts", "전망"),
    "nav.actions": ("Actions", "실행 목록"),
    "nav.maps": ("Maps", "지도"),
    "nav.notes": ("Notes", "참고"),
    "unit.points": ("{number} points", "{number}%p"),
    "unit.days": (("{n} day", "{n} days"), "{n}일"),
    "unit.customers": (("{n} customer", "{n} customers"), "고객 {n}명"),
    "unit.everybody": ("Everybody", "전체 고객"),
    "column.segment": ("Group", "고객 그룹"),
    "column.customers": ("Customers", "고객 수"),
    "column.share": ("Share", "비중"),
    "column.risk": ("Risk of leaving", "이탈 위험"),
    "column.worth": ("Worth per customer", "1인당 가치"),
    "column.worth_total": ("Worth in all", "총 가치"),
    "column.at_risk": ("Money at risk", "이탈 위험 금액"),
    "column.reason": ("Reason", "이유"),
    "column.from": ("From", "이전 그룹"),
    "column.to": ("To", "현재 그룹"),
    # --- headline ----------------------------------------------------------------------------
    "head.customers": ("Customers", "고객 수"),
    "head.segments": (("in {n} group", "in {n} groups"), "{n}개 그룹"),
    "head.at_risk": ("Money at risk", "이탈 위험 금액"),
    "head.at_risk_of": ("{share} of last year's spending", "최근 1년 구매 금액의 {share}"),
    "head.at_risk_plain": ("if those likely to leave go", "이탈이 예상되는 고객이 떠날 경우"),
    "head.value": ("Worth over the next {days}", "향후 {days}간 고객 가치"),
    "head.value_range": ("likely between {low} and {high}", "예상 범위 {low} ~ {high}"),
    "head.leavers": ("Expected to leave", "이탈 예상 고객"),
    "head.leavers_of": ("{share} of all customers", "전체 고객의 {share}"),
    "head.unknown": ("not known yet", "아직 알 수 없음"),
    # --- model or rule -----------------------------------------------------------------------
    "served.title": ("Model or rule: who decides", "모델인가, 규칙인가"),
    "served.lead": (
        "Each question is answered by a model only where it beats the best simple rule on the same"
        " customers. Where it does not, the rule is served.",
        "같은 고객을 두고 가장 좋은 단순 규칙보다 나은 경우에만 모델을 사용합니다."
        " 그렇지 않으면 규칙을 그대로 사용합니다.",
    ),
    "served.question": ("Question", "질문"),
    "served.by": ("Answered by", "사용 방식"),
    "served.figure": ("It reaches", "성과"),
    "served.rival": ("Against", "비교 대상"),
    "served.lead_by": ("Wins by", "차이"),
    "served.model": ("Model", "모델"),
    "served.rule": ("Rule", "규칙"),
    "served.churn": ("Who is about to leave?", "누가 곧 떠날까?"),
    "served.value": ("What are they worth?", "고객의 가치는 얼마일까?"),
    "served.segments": ("Which group do they belong to?", "어떤 그룹에 속할까?"),
    "served.forecast": ("What comes next? {measure}", "앞으로 어떻게 될까? {measure}"),
    "served.wins": ("{by} better", "{by} 우위"),
    "served.range": ("({low} to {high})", "({low} ~ {high})"),
    "served.ties": ("no difference", "차이 없음"),
    "served.loses": ("{by} behind", "{by} 열위"),
    "served.line_model": (
        "The model “{served}” decides: it beats the best rule “{rival}” by {by}.",
        "모델 “{served}” 사용: 가장 좋은 규칙 “{rival}”보다 {by} 앞섭니다.",
    ),
    "served.line_model_unproven": (
        "The model “{served}” decides, though it is not ahead of the rule “{rival}”.",
        "모델 “{served}” 사용: 규칙 “{rival}”보다 앞서지는 않습니다.",
    ),
    "served.line_rule": (
        "The rule “{served}” decides: the model “{rival}” does not beat it.",
        "규칙 “{served}” 사용: 모델 “{rival}”의 성과가 더 낫지 않습니다.",
    ),
    "served.alone": ("nothing to compare with", "비교 대상 없음"),
    "served.by_how_much": (
        "By how much it wins is not in the ledger any more.",
        "우위의 크기는 기록에 남아 있지 않습니다.",
    ),
    # --- value and risk ----------------------------------------------------------------------
    "grid.title": ("Where value meets risk", "가치와 이탈 위험"),
    "grid.lead": (
        "Each bubble is a group, as large as the number of its customers. Upper right is where"
        " keeping people pays most. The dotted lines are the average of all customers.",
        "원 하나가 한 그룹이며, 클수록 고객이 많습니다. 오른쪽 위에 있을수록 지키는 효과가 큽니다."
        " 점선은 전체 고객의 평균입니다.",
    ),
    "grid.figure": (
        "Bubble chart of {n} groups: risk of leaving across, worth per customer upwards.",
        "{n}개 그룹의 버블 차트. 가로축은 이탈 위험, 세로축은 1인당 가치입니다.",
    ),
    "grid.no_risk": (
        "No scores are there for this cut-off, so groups cannot be placed by risk.",
        "이 기준일의 이탈 점수가 없어 위험도별로 표시할 수 없습니다.",
    ),
    "grid.save": ("Worth much, at risk: act first", "가치 높음 · 위험 높음: 먼저 챙길 고객"),
    "grid.keep": ("Worth much, safe: look after", "가치 높음 · 위험 낮음: 잘 지킬 고객"),
    "grid.watch": ("Worth less, at risk: only cheaply", "가치 낮음 · 위험 높음: 적은 비용으로"),
    "grid.leave": ("Worth less, safe: leave alone", "가치 낮음 · 위험 낮음: 그대로 두기"),
    # --- groups ------------------------------------------------------------------------------
    "groups.title": ("The groups", "고객 그룹"),
    "groups.lead": (
        "Found by {method}. Names stay from month to month; who moved is shown below.",
        "{method} 방식으로 나눈 그룹입니다. 이름은 매달 유지되며, 이동 현황은 아래에 있습니다.",
    ),
    "groups.customers": (" customers, {share} of all", "명, 전체의 {share}"),
    "groups.worth": ("Worth per customer", "1인당 가치"),
    "groups.spent": ("Spent per customer, last year", "1인당 최근 1년 구매액"),
    "groups.risk": ("Risk of leaving", "이탈 위험"),
    "groups.observed": ("{share} left in the past", "과거 실제 이탈률 {share}"),
    "groups.at_risk": ("Money at risk", "이탈 위험 금액"),
    "groups.traits": ("What sets them apart", "이 그룹의 특징"),
    "groups.trait": ("{median}, everybody {overall}", "{median} (전체 {overall})"),
    "groups.higher": ("higher than usual", "평균보다 높음"),
    "groups.lower": ("lower than usual", "평균보다 낮음"),
    "groups.no_traits": (
        "Nothing sets this group clearly apart.",
        "뚜렷하게 구별되는 특징이 없습니다.",
    ),
    "groups.why": ("Why they leave", "떠나는 이유"),
    "groups.why_line": ("{customers}, {amount} at risk", "{customers}, 위험 금액 {amount}"),
    "groups.no_why": (
        "No stable reason for this group. A reason that does not hold is not shown.",
        "이 그룹에서는 안정적으로 확인된 이유가 없습니다. 확실하지 않은 이유는 표시하지 않습니다.",
    ),
    "groups.why_missing": ("Reasons are not known yet.", "이유는 아직 분석되지 않았습니다."),
    "groups.rules": ("Who belongs to it", "그룹의 조건"),
    "groups.and": ("and", "그리고"),
    "groups.no_rules": ("No rules describe this group.", "이 그룹을 설명하는 규칙이 없습니다."),
    "groups.fits": (
        "These rules find {recall} of the group; {precision} of those they find belong to it.",
        "이 규칙으로 그룹의 {recall}를 찾아내며,"
        " 찾은 고객의 {precision}가 실제로 이 그룹에 속합니다.",
    ),
    "groups.unfit": (
        "This group cannot be described so: {figure}, {short} short of {asked}.",
        "이 그룹은 규칙만으로 설명하기 어렵습니다. {figure}, 기준 {asked}에 {short} 부족합니다.",
    ),
    "groups.recall": ("the rules find {share} of its members", "규칙이 찾아내는 고객 {share}"),
    "groups.precision": (
        "{share} of those whom the rules find belong to it",
        "규칙으로 찾은 고객 중 실제 소속 {share}",
    ),
    "groups.sql": ("The same as SQL, for a WHERE", "SQL(WHERE 절)로 보기"),
    "groups.agreement": (
        "The rules put {share} of all customers where the model puts them.",
        "전체 고객의 {share}에서 규칙과 모델의 결과가 일치합니다.",
    ),
    "groups.measures": ("How good is this grouping?", "그룹 구분은 얼마나 좋은가?"),
    "groups.event.kept": ("kept", "유지"),
    "groups.event.born": ("new", "신규"),
    "groups.event.split": ("split off", "분리"),
    "groups.event.merged": ("merged", "통합"),
    "groups.event.died": ("gone", "소멸"),
    "groups.event.renamed": ("renamed", "이름 변경"),
    "groups.alarm": ("unusual size", "비중 급변"),
    # --- movements ---------------------------------------------------------------------------
    "moves.title": ("Who moved where", "그룹 간 이동"),
    "moves.lead": ("From {before} to {now}.", "{before} → {now}"),
    "moves.first": (
        "This is the first grouping. Movements are shown from the next one on.",
        "첫 번째 그룹 구분입니다. 다음 분석부터 이동이 표시됩니다.",
    ),
    "moves.stayed": (
        "{share} of those who were there before are still in their group.",
        "이전에 있던 고객의 {share}가 같은 그룹에 남아 있습니다.",
    ),
    "moves.figure": (
        "Flow chart of customers between groups: before on the left, now on the right.",
        "고객의 그룹 간 이동 흐름도. 왼쪽이 이전, 오른쪽이 현재입니다.",
    ),
    "moves.new": ("New customers", "신규 고객"),
    "moves.gone": ("No longer customers", "떠난 고객"),
    "moves.events": ("What became of the groups", "그룹의 변화"),
    "moves.no_events": ("Every group is still there.", "모든 그룹이 그대로 유지되고 있습니다."),
    "moves.born": ("{name}: a new group.", "{name}: 새로 생긴 그룹입니다."),
    "moves.split": ("{name}: split off from {others}.", "{name}: {others}에서 분리된 그룹입니다."),
    "moves.merged": ("{name}: took in {others}.", "{name}: {others} 그룹을 흡수했습니다."),
    "moves.died": (
        "{name}: gone; its people are now in {others}.",
        "{name}: 사라진 그룹입니다. 고객은 이제 {others}에 속합니다.",
    ),
    "moves.died_alone": ("{name}: gone.", "{name}: 사라진 그룹입니다."),
    "moves.renamed": ("{name}: a new name.", "{name}: 이름이 바뀌었습니다."),
    "moves.kept": ("{name}: stayed.", "{name}: 유지되었습니다."),
    "moves.overlap": ("Overlap {share}.", "겹치는 비율 {share}."),
    "moves.alarm": (
        "{name}: {share} of all customers; usual are {low} to {high}.",
        "{name}: 전체 고객의 {share}입니다. 평소 범위는 {low} ~ {high}입니다.",
    ),
    "moves.alarms": ("Unusual sizes", "평소와 다른 비중"),
    **FINDING_PHRASES,
}
