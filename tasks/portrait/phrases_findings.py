"""What the page says of reasons, survival, value, forecasts, actions and maps."""

from __future__ import annotations

FINDING_PHRASES: dict[str, tuple[str | tuple[str, str], str]] = {
    # --- reasons -----------------------------------------------------------------------------
    "reasons.title": ("Why they leave", "떠나는 이유"),
    "reasons.association": (
        "These are associations, not causes. Customers with such a history leave more often; that"
        " a change would keep them is shown by an experiment alone. Until then nothing here claims"
        " more.",
        "여기에 보이는 것은 인과가 아니라 연관성입니다."
        " 이런 이력이 있는 고객이 더 자주 떠난다는 뜻이며,"
        " 바꾸면 남는다는 사실은 실험으로만 확인할 수 있습니다."
        " 실험 전까지는 그 이상을 주장하지 않습니다.",
    ),
    "reasons.held": (
        "{stable} customers have a reason that held in {refits} refits; for {unstable} there is no"
        " stable reason.",
        "{refits}번의 재학습에서 유지된 이유가 있는 고객은 {stable}명이며,"
        " {unstable}명은 안정적인 이유가 없습니다.",
    ),
    "reasons.figure": (
        "Bars: money at risk by reason, split by group.",
        "이유별 이탈 위험 금액을 그룹별로 나눈 막대그래프입니다.",
    ),
    "reasons.matrix": (
        "Groups and reasons: customers and money at risk",
        "그룹별 이유: 고객 수와 위험 금액",
    ),
    "reasons.stands_out": (
        "Money at risk, customers, and their share here against all others."
        " ★ stands out: more common here than elsewhere, beyond chance.",
        "위험 금액, 고객 수, 그룹 내 비중(타 그룹 비중)입니다."
        " ★ 두드러짐: 우연으로 보기 어려울 만큼 다른 그룹보다 많음",
    ),
    "reasons.none": ("No stable reason", "안정적인 이유 없음"),
    "reasons.rest": ("{share}, others {rest}", "{share}, 타 그룹 {rest}"),
    "reasons.other_money": (
        "The amounts here add up to {here}, those of the groups above to {above}: reasons are"
        " counted with another measure of a customer's value. Compare them with each other alone.",
        "이 절의 금액 합계는 {here}, 위 그룹별 금액 합계는 {above}입니다."
        " 고객 가치의 계산 기준이 다르므로 이 절 안에서만 비교하세요.",
    ),
    "reasons.drivers": ("How firmly each reason holds", "이유별 신뢰도"),
    "reasons.weight": ("Weight", "비중"),
    "reasons.agreement": ("Holds in", "일치도"),
    "reasons.evidence": ("Evidence", "근거 수준"),
    "reasons.features": ("Features", "변수 수"),
    "reasons.ablation": (
        "A check: with a customer's top reason set to the group's usual, the predicted risk changes"
        " by {change} on average ({low} to {high}).",
        "검증: 고객의 가장 큰 이유를 그룹의 보통 수준으로 바꾸면 예측 이탈 위험이 평균 {change}"
        " 달라집니다({low} ~ {high}).",
    ),
    "reasons.ablation_bare": (
        "A check: with a customer's top reason set to the group's usual, the predicted risk changes"
        " by {change} on average.",
        "검증: 고객의 가장 큰 이유를 그룹의 보통 수준으로 바꾸면 예측 이탈 위험이 평균 {change}"
        " 달라집니다.",
    ),
    # --- survival, lead time, journey --------------------------------------------------------
    "leaving.title": ("When they leave, and what comes before", "언제, 어떻게 떠나는가"),
    "leaving.survival": ("How long they stay", "얼마나 오래 남는가"),
    "leaving.figure": (
        "Curves: share of customers still there, by days. The band is the interval of everybody.",
        "일수별 잔존 고객 비율 곡선입니다. 음영은 전체 고객의 신뢰 구간입니다.",
    ),
    "leaving.days": ("Days", "일수"),
    "leaving.still_there": ("Still there", "잔존율"),
    "leaving.median": ("Half have left after", "절반이 떠나는 시점"),
    "leaving.more_stay": ("more than half stay", "절반 이상 잔존"),
    "leaving.p_value": (
        "The groups differ in how long they stay (log-rank p {p}).",
        "그룹마다 잔존 기간이 다릅니다(로그 순위 검정 p {p}).",
    ),
    "leaving.no_difference": (
        "That the groups differ in how long they stay is not shown (log-rank p {p}).",
        "그룹 간 잔존 기간의 차이는 확인되지 않았습니다(로그 순위 검정 p {p}).",
    ),
    "leaving.no_survival": (
        "No curves: too few have left to draw them.",
        "떠난 고객이 적어 곡선을 그릴 수 없습니다.",
    ),
    "leaving.lead": ("How early we know", "얼마나 일찍 알 수 있는가"),
    "leaving.lead_line": (
        "Of {lapsed} customers who left, {flagged} ({share}) had been flagged before, at a risk of"
        " {flag} or more.",
        "떠난 고객 {lapsed}명 중 {flagged}명({share})은"
        " 그 전에 위험도 {flag} 이상으로 표시되었습니다.",
    ),
    "leaving.lead_median": (
        "Half of them at least {days} ahead.",
        "그중 절반은 {days} 이상 먼저 알 수 있었습니다.",
    ),
    "leaving.lead_others": ("{share} at least {days} ahead.", "{share}는 {days} 이상 먼저."),
    "leaving.price": (
        "Of those who stayed, {share} were flagged too: the price of knowing early.",
        "남은 고객 중 {share}도 함께 표시되었습니다. 일찍 아는 것의 대가입니다.",
    ),
    "leaving.no_lead": ("Lead times are not known yet.", "사전 경고 기간은 아직 알 수 없습니다."),
    "leaving.journey": ("Last steps before leaving", "떠나기 직전의 행동"),
    "leaving.step": ("Step", "행동"),
    "leaving.leavers": ("Leavers", "떠난 고객"),
    "leaving.stayers": ("Stayers", "남은 고객"),
    "leaving.lift": ("Times as common", "배수"),
    "leaving.times": ("{number}×", "{number}배"),
    "leaving.no_journey": ("No step stands out yet.", "두드러지는 행동이 아직 없습니다."),
    # --- value -------------------------------------------------------------------------------
    "value.title": ("What customers are worth", "고객 생애 가치"),
    "value.lead": (
        "Over {days}, {customers} are worth {total}, likely between {low} and {high} (margin,"
        " discounted).",
        "향후 {days}간 {customers}의 가치는 {total}입니다"
        "(예상 범위 {low} ~ {high}, 할인된 마진 기준).",
    ),
    "value.contenders": ("Who tells it best", "어떤 방식이 가장 정확한가"),
    "value.contenders_lead": (
        "Judged on customers whose outcome is known.",
        "결과가 확인된 고객으로 평가했습니다.",
    ),
    "value.name": ("Way", "방식"),
    "value.gini": ("Gini", "지니 계수"),
    "value.bias": ("Total off by", "총액 오차"),
    "value.error": ("Error per customer", "1인당 오차"),
    "value.captured": ("Top {share} catch", "상위 {share} 포착률"),
    "value.served": ("served", "사용 중"),
    "value.calibration": ("Predicted against observed", "예측과 실제"),
    "value.figure": (
        "Bars by tenth of customers, lowest predicted first: predicted and observed spend.",
        "예측값이 낮은 순서로 나눈 10분위별 예측 금액과 실제 금액 막대그래프입니다.",
    ),
    "value.decile": ("Tenth", "10분위"),
    "value.predicted": ("Predicted", "예측"),
    "value.observed": ("Observed", "실제"),
    "value.contradictions": ("Where two models disagree", "두 모델의 판단이 엇갈리는 고객"),
    "value.contradictions_lead": (
        "For these customers the value and churn models cannot both be right. Their value was"
        " reconciled, and everything here uses the reconciled one.",
        "가치 모델과 이탈 모델이 동시에 맞을 수 없는 고객입니다."
        " 조정된 가치를 모든 수치에 사용합니다.",
    ),
    "value.before": ("Value before", "조정 전 가치"),
    "value.after": ("Value after", "조정 후 가치"),
    "value.case": ("What disagrees", "내용"),
    "value.no_contradictions": (
        "None: the two models agree.",
        "없음: 두 모델의 판단이 일치합니다.",
    ),
    "value.coverage": (
        "Of the judged customers, {share} spent within their own interval, which is made for"
        " {asked}.",
        "평가 고객의 {share}가 예측 구간 안에 들었습니다(목표 {asked}).",
    ),
    "value.unreconciled": (
        "Before it was made to agree with churn, the total was {amount}.",
        "이탈 모델과 맞추기 전의 총 가치는 {amount}입니다.",
    ),
    "value.parameters": ("Parameters of the model", "모델 매개변수"),
    # --- forecasts ---------------------------------------------------------------------------
    "forecasts.title": ("What comes next", "앞으로의 전망"),
    "forecasts.lead": (
        "Solid is what happened, dashed what is expected, and the band holds the outcome"
        " {confidence} of the time.",
        "실선은 실적, 점선은 전망이며, 실제 값이 {confidence} 확률로 음영 안에 들어옵니다.",
    ),
    "forecasts.show": ("Show", "보기"),
    "forecasts.figure": (
        "Line of {measure}: past, and forecast with its interval.",
        "{measure}의 실적과 전망(구간 포함) 그래프입니다.",
    ),
    "forecasts.week_of": ("week of {date}", "{date} 주"),
    "forecasts.next": ("Next", "다음 기간"),
    "forecasts.expected": ("Expected", "전망"),
    "forecasts.range": ("Interval", "구간"),
    "forecasts.method": ("Method", "방법"),
    "forecasts.measure": ("What", "지표"),
    "forecasts.past": ("Past", "실적"),
    "forecasts.forecast": ("Forecast", "전망"),
    "forecasts.chosen": (
        "By {method}: error {error}, {rival} {other} (smaller is better).",
        "{method} 사용: 오차 {error}, {rival} {other}(작을수록 좋음).",
    ),
    "forecasts.coverage": (
        "{share} of {n} past values lay within such an interval.",
        "과거 값 {n}개 중 {share}가 구간 안에 들었습니다.",
    ),
    "forecasts.period": ("Period", "기간"),
    "forecasts.all": ("All series: the next period", "전체 지표: 다음 기간 전망"),
    "forecasts.none": (
        "Nothing is forecast.",
        "전망한 지표가 없습니다.",
    ),
    # --- actions -----------------------------------------------------------------------------
    "actions.title": ("What to do about it", "실행 목록"),
    "actions.budget": ("Budget", "예산"),
    "actions.planned": ("{amount} planned", "{amount} 집행 예정"),
    "actions.return": ("Expected net return", "예상 순수익"),
    "actions.customers": ("To be contacted", "연락 대상"),
    "actions.held_out": ("Held out", "대조군"),
    "actions.held_out_of": (
        "{share} are never contacted, so that the effect can be measured",
        "{share}는 효과 측정을 위해 연락하지 않음",
    ),
    "actions.guess": (
        "Returns are estimates until an experiment measures them.",
        "수익은 실험으로 측정하기 전까지 추정치입니다.",
    ),
    "actions.measured": ("Measured by lot.", "추첨으로 측정한 값입니다."),
    "actions.list": ("The list", "액션"),
    "actions.winback": ("Win back those who left", "떠난 고객 재유치"),
    "actions.winback_line": (
        (
            "{n} lapsed customer has a list of their own.",
            "{n} lapsed customers have a list of their own.",
        ),
        "이미 떠난 고객 {n}명을 위한 별도 목록입니다.",
    ),
    "actions.action": ("Action", "액션"),
    "actions.channel": ("Channel", "채널"),
    "actions.cost": ("Cost", "비용"),
    "actions.gain": ("Expected return", "예상 수익"),
    "actions.level": ("Evidence", "근거 단계"),
    "actions.levels": (
        "Evidence: 0 the model predicts; 1 its ranking has held; 2 by lot, the action works"
        " overall; 3 by lot, its effect is known in this group or for this reason, and the return"
        " is measured. Below 3 the return is a guess. Own uplift: by lot, the effect is known to"
        " differ from customer to customer, and each one's own is counted.",
        "근거 단계: 0 모델 예측, 1 순위 확인, 2 추첨으로 전체 효과 확인, 3 추첨으로 이 그룹이나"
        " 이유의 효과 측정. 3단계 미만의 수익은 추정치입니다. 고객별 업리프트: 추첨으로 효과가"
        " 고객마다 다름이 확인되어 각 고객의 효과를 씁니다.",
    ),
    "actions.own_uplift": ("(own uplift of {n})", "(고객별 업리프트 {n}명)"),
    "actions.nobody": ("Nobody: no action pays.", "대상 없음: 비용보다 효과가 큰 액션이 없습니다."),
    "actions.left_alone": ("Left alone, and why", "연락하지 않는 고객과 사유"),
    "actions.winback_left_alone": (
        "Lapsed customers left alone, and why",
        "재유치 대상에서 제외된 고객과 사유",
    ),
    "actions.bound": (
        "No list within this budget can bring more than {bound}.",
        "이 예산으로 얻을 수 있는 최대 수익은 {bound}입니다.",
    ),
    "actions.gap": ("This one lacks {share} of it.", "이 목록은 그보다 {share} 적습니다."),
    "actions.beside": ("They lie beside this page.", "이 페이지와 같은 폴더에 있습니다."),
    "actions.cause": ("Why", "사유"),
    "actions.files": ("Files", "파일"),
    # --- maps --------------------------------------------------------------------------------
    "maps.title": ("Maps", "지도"),
    "maps.warning": (
        "Maps are not evidence of separation. They squeeze many figures into two, and such a"
        " picture shows clusters where there are none. How well the groups hold is told by the"
        " measures above.",
        "지도는 그룹이 잘 나뉘었다는 증거가 아닙니다."
        " 여러 지표를 두 축으로 줄인 그림이라 없는 덩어리가"
        " 보일 수 있습니다. 그룹의 품질은 위의 지표로 판단하세요.",
    ),
    "maps.pca": ("PCA", "PCA"),
    "maps.tsne": ("t-SNE", "t-SNE"),
    "maps.heat": ("Profiles", "그룹별 프로필"),
    "maps.tree": ("Kinship of the groups", "그룹 간 유사도"),
    "maps.pca_figure": (
        "PCA map of {n} sampled customers, coloured by group.",
        "표본 고객 {n}명의 PCA 지도이며, 색은 그룹을 나타냅니다.",
    ),
    "maps.tsne_figure": (
        "t-SNE map of {n} sampled customers, coloured by group.",
        "표본 고객 {n}명의 t-SNE 지도이며, 색은 그룹을 나타냅니다.",
    ),
    "maps.heat_figure": (
        "Heat map: how far each group's median lies from everybody's, in robust deviations.",
        "그룹 중앙값이 전체와 얼마나 다른지 보여 주는 히트맵입니다(로버스트 편차 단위).",
    ),
    "maps.tree_figure": (
        "Dendrogram: groups that join further left are more alike.",
        "덴드로그램: 왼쪽에서 만날수록 비슷한 그룹입니다.",
    ),
    "maps.distance": ("Distance", "거리"),
    "maps.none": ("No map was drawn.", "지도가 없습니다."),
    # --- notes, footer -----------------------------------------------------------------------
    "notes.title": ("Notes", "참고"),
    "notes.none": ("None.", "없습니다."),
    "foot.title": ("Where these figures come from", "수치의 출처"),
    "foot.deployment": ("Deployment", "배포"),
    "foot.lake": ("Lake version", "데이터 버전"),
    "foot.since": ("since {date}", "{date}부터"),
    "foot.run": ("Run", "실행 ID"),
    "foot.model": ("Model", "모델"),
    "foot.part": ("Part", "항목"),
    "foot.cutoff": ("Cut-off", "기준일"),
    "foot.version": ("version {version}", "버전 {version}"),
    "foot.personal": (
        "Figures and names of groups only: no personal data, no network, nothing to load.",
        "그룹의 수치와 이름만 담겨 있습니다. 개인정보가 없고, 네트워크에 연결하지 않습니다.",
    ),
    "part.churn": ("Churn", "이탈"),
    "part.value": ("Value", "생애 가치"),
    "part.segments": ("Groups", "고객 그룹"),
    "part.reasons": ("Reasons", "이유"),
    "part.forecasts": ("Forecasts", "전망"),
    "part.actions": ("Actions", "실행 목록"),
}
