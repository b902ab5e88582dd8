//! Messages as the taps write them, shortened.

use super::*;

#[test]
fn reads_ads_of_facebook_as_their_campaign() {
    let ad = |ad: &str, clicks: u32, spend: f64, purchases: u32, value: &str| {
        record(
            "ads_insights",
            json!({
                "campaign_id": "238", "campaign_name": "Spring", "adset_id": "5", "ad_id": ad, "clicks": clicks + 9,
                "inline_link_clicks": clicks, "impressions": 1_000, "spend": spend,
                "date_start": "2026-11-20T00:00:00.000000Z", "date_stop": "2026-11-20T00:00:00.000000Z",
                "actions": [{"action_type": "omni_purchase", "value": purchases},
                            {"action_type": "purchase", "value": purchases},
                            {"action_type": "offsite_conversion.fb_pixel_purchase", "value": purchases}],
                "action_values": [{"action_type": "omni_purchase", "value": value}],
            }),
        )
    };
    let judged = judge("tap-facebook", "ads_insights", &[ad("1", 60, 12.24, 2, "40.5"), ad("2", 7, 5.93, 1, "9.5")]);
    assert_eq!(judged.cells(), [("Spring", "2026-11-20".to_owned())]);
    let told = [Measure::Impressions, Measure::Clicks, Measure::Spend, Measure::Conversions, Measure::Revenue];
    // One sale is in three action types, and counts once.
    assert_eq!(told.map(|measure| judged.told(measure)), [2_000, 67, 18_170_000, 3_000_000, 50_000_000]);
}

#[test]
fn reads_performance_of_google_ads() {
    let nested = record(
        "campaign_performance",
        json!({"campaign": {"id": "77", "name": "Brand"}, "segments": {"date": "2026-11-20", "device": "MOBILE"},
               "customer": {"currencyCode": "AUD"},
               "metrics": {"costMicros": "36150000", "clicks": "49", "impressions": "166", "conversions": 1.5}}),
    );
    let judged = judge("tap-googleads", "campaign_performance", &[nested]);
    let told = [Measure::Spend, Measure::Clicks, Measure::Conversions].map(|measure| judged.told(measure));
    assert_eq!((told, judged.currency.as_str()), ([36_150_000, 49, 1_500_000], "AUD"));
    let flat = record(
        "campaign_performance",
        json!({"campaign__id": 77, "campaign__name": "Brand", "segments__date": "2026-11-20",
               "metrics__cost_micros": 36_150_000, "metrics__clicks": 49}),
    );
    let judged = judge("tap-googleads", "campaign_performance", &[flat]);
    assert_eq!((judged.told(Measure::Spend), judged.told(Measure::Clicks)), (36_150_000, 49));
}

#[test]
fn reads_sessions_of_google_analytics_beside_what_platforms_say() {
    let stream = "traffic_acq_session_campaign_report";
    let report = |name: &str, sessions: u32| {
        record(
            stream,
            json!({"property_id": "3", "date": "2026-11-20T00:00:00.000000Z", "sessionCampaignName": name,
                   "sessions": sessions, "conversions": 2, "totalRevenue": 19.99}),
        )
    };
    let judged = judge("tap-ga4", stream, &[report("Spring", 7), report("(direct)", 30)]);
    assert_eq!(judged.told(Measure::Visits), 37);
    assert_eq!((judged.told(Measure::Conversions), judged.told(Measure::Revenue)), (4_000_000, 39_980_000));
}

#[test]
fn reads_analytics_of_linkedin() {
    let day = json!({
        "campaign_id": 900, "campaign": "urn:li:sponsoredCampaign:900", "start_at": "2026-11-20T00:00:00.000000Z",
        "end_at": "2026-11-20T00:00:00.000000Z", "impressions": 4_000, "clicks": 12, "one_click_leads": 3,
        "cost_in_local_currency": 31.415_926_5, "external_website_conversions": 1,
        "conversion_value_in_local_currency": 250.0, "date_range": {"start": {"day": 20, "month": 11, "year": 2026}},
    });
    let judged = judge("tap-linkedin-ads", "ad_analytics_by_campaign", &[record("ad_analytics_by_campaign", day)]);
    assert_eq!(judged.cells()[0].1, "2026-11-20");
    let told = [Measure::Spend, Measure::Leads, Measure::Conversions].map(|measure| judged.told(measure));
    assert_eq!((told, judged.verdict.rounded), ([31_415_926, 3, 1_000_000], 1));
}

#[test]
fn reads_the_report_of_microsoft() {
    let row = json!({
        "AccountId": 1, "CampaignId": 55, "CampaignName": "Search", "TimePeriod": "2026-11-20T00:00:00.000000Z",
        "Impressions": 900, "Clicks": 30, "Spend": 12.5, "Conversions": 2.0, "Revenue": 80.0, "CurrencyCode": "USD",
        "_sdc_report_datetime": "2026-11-21T04:00:00.000000Z",
    });
    let judged = judge("tap-bing-ads", "campaign_performance_report", &[record("campaign_performance_report", row)]);
    assert_eq!((judged.cells(), judged.currency.as_str()), (vec![("Search", "2026-11-20".to_owned())], "USD"));
    assert_eq!((judged.told(Measure::Spend), judged.told(Measure::Revenue)), (12_500_000, 80_000_000));
}

#[test]
fn reads_insights_of_tiktok() {
    let row = |ad: &str| {
        record(
            "ad_insights",
            json!({"advertiser_id": "1", "ad_id": ad, "campaign_id": "17", "campaign_name": "Video",
                   "stat_time_day": "2026-11-20T00:00:00.000000Z", "spend": 3.1, "impressions": 100, "clicks": 4,
                   "conversion": 1, "video_play_actions": 80}),
        )
    };
    let judged = judge("tap-tiktok-ads", "ad_insights", &[row("1"), row("2")]);
    assert_eq!((judged.verdict.items.len(), judged.told(Measure::VideoViews)), (1, 160));
    assert_eq!((judged.told(Measure::Spend), judged.told(Measure::Conversions)), (6_200_000, 2_000_000));
}

#[test]
fn reads_sent_campaigns_of_mailchimp() {
    let sent = json!({
        "id": "a1", "settings": {"title": "News"}, "send_time": "2026-11-20T09:30:00.000000Z", "emails_sent": 500,
        "status": "sent",
        "report_summary": {"opens": 300, "unique_opens": 200, "clicks": 60, "subscriber_clicks": 40,
                           "ecommerce": {"total_orders": 3, "total_revenue": 120}},
    });
    let draft = json!({"id": "a2", "settings": {"title": "Later"}, "send_time": null, "status": "save"});
    let judged = judge("tap-mailchimp", "campaigns", &[record("campaigns", sent), record("campaigns", draft)]);
    assert_eq!(judged.cells(), [("News", "2026-11-20".to_owned())]);
    let told = [Measure::Sends, Measure::Opens, Measure::OpensTotal, Measure::Clicks, Measure::ClicksTotal];
    assert_eq!(told.map(|measure| judged.told(measure)), [500, 200, 300, 40, 60]);
}
