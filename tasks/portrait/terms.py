"""Codes of the findings as a person reads them: code -> (English, Korean).

A code that is not here is shown as it is, so that a new measure needs no change of the page.
"""

from __future__ import annotations

TERMS: dict[str, tuple[str, str]] = {
    # --- measures ----------------------------------------------------------------------------
    "profit_amount": ("profit of the list", "목록의 수익"),
    "gini_share": ("normalised Gini", "정규화 지니 계수"),
    "gini": ("normalised Gini", "정규화 지니 계수"),
    "captured_share": ("spend caught by the top", "상위 고객의 매출 포착률"),
    "mean_absolute_error_amount": ("error per customer", "1인당 오차"),
    "mean_absolute_scaled_error": ("scaled error", "척도 오차(MASE)"),
    "mase": ("scaled error", "척도 오차(MASE)"),
    "churn_rate": ("churn rate", "이탈률"),
    "active_customers": ("active customers", "활성 고객 수"),
    "revenue": ("revenue", "매출"),
    "stability": ("stability", "안정성"),
    "usefulness": ("usefulness", "유용성"),
    "separation": ("separation", "분리도"),
    "silhouette": ("silhouette", "실루엣"),
    "jaccard": ("bootstrap Jaccard", "부트스트랩 자카드"),
    "adjusted_rand": ("adjusted Rand", "조정 랜드 지수"),
    "calinski_harabasz": ("Calinski-Harabasz", "칼린스키-하라바즈"),
    "davies_bouldin": ("Davies-Bouldin", "데이비스-볼딘"),
    # --- methods -----------------------------------------------------------------------------
    "seasonal_naive": ("seasonal naive", "계절 단순법"),
    "naive": ("naive", "단순법"),
    "exponential_smoothing": ("exponential smoothing", "지수평활"),
    "ets": ("exponential smoothing", "지수평활"),
    "arima": ("ARIMA", "ARIMA"),
    "rfm": ("RFM groups", "RFM 그룹"),
    "kmeans": ("k-means", "k-평균"),
    "minibatch_kmeans": ("mini-batch k-means", "미니배치 k-평균"),
    "bisecting_kmeans": ("bisecting k-means", "이분 k-평균"),
    "gaussian_mixture": ("Gaussian mixture", "가우스 혼합"),
    "ward": ("Ward hierarchical", "와드 계층 군집"),
    "hdbscan": ("HDBSCAN", "HDBSCAN"),
    "bg_nbd": ("BG/NBD with Gamma-Gamma", "BG/NBD·감마-감마"),
    "mbg_nbd": ("MBG/NBD with Gamma-Gamma", "MBG/NBD·감마-감마"),
    "last_year": ("last year's spend", "지난해 구매액"),
    "simple_formula": ("simple formula", "단순 공식"),
    "two_stage": ("LightGBM, two stages", "LightGBM 2단계"),
    "tweedie": ("LightGBM, Tweedie", "LightGBM 트위디"),
    "lightgbm": ("LightGBM", "LightGBM"),
    "model": ("model", "모델"),
    # --- evidence ----------------------------------------------------------------------------
    "association": ("association", "연관성"),
    "experiment": ("experiment", "실험"),
    # --- left alone --------------------------------------------------------------------------
    "held_out": ("held out to measure the effect", "효과 측정을 위한 대조군"),
    "hold_out": ("held out to measure the effect", "효과 측정을 위한 대조군"),
    "no_action": ("no action of the policy fits", "해당하는 액션 없음"),
    "not_worth_it": ("no action pays for itself", "비용보다 효과가 작음"),
    "no_return": ("no action pays for itself", "비용보다 효과가 작음"),
    "over_budget": ("beyond the budget", "예산 초과"),
    "budget": ("beyond the budget", "예산 초과"),
    "contact_cap": ("contacted often enough already", "연락 횟수 한도 도달"),
    "action_cap": ("the action's cap is reached", "액션별 한도 도달"),
    "cap": ("the action's cap is reached", "액션별 한도 도달"),
    "opted_out": ("does not want to be contacted", "수신 거부"),
    "low_risk": ("unlikely to leave", "이탈 위험 낮음"),
    # --- channels ----------------------------------------------------------------------------
    "email": ("e-mail", "이메일"),
    "sms": ("text message", "문자"),
    "push": ("app message", "앱 푸시"),
    "phone": ("phone", "전화"),
    "mail": ("letter", "우편"),
}
