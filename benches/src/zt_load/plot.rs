//! Small plots, written as SVG by hand: a logarithmic or linear scale, a line, its points.

use std::fmt::Write as _;

use crate::report::Report;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 56.0;
/// Faster answers than half of all are not drawn: their labels would lie upon each other.
const FIRST_PERCENTILE: f64 = 50.0;
/// What the cost over members is read from.
const COST: &str = "server µs per reply";

/// Draws one report's latencies, or the cost of several.
pub(crate) fn of(reports: &[Report]) -> String {
    if let [report] = reports { latencies(report) } else { cost(reports) }
}

/// Draws how long answers took, from the median to the slowest.
pub(crate) fn latencies(report: &Report) -> String {
    // The slow ones matter: 90, 99 and 99.9 percent are equally far apart.
    let place = |percent: f64| -(100.05 - percent).log10();
    let slow = report.latencies.iter().filter(|(percent, _)| *percent >= FIRST_PERCENTILE);
    let points: Vec<_> = slow.map(|(percent, ms)| (place(*percent), *ms, format!("{percent} %"))).collect();
    draw(&format!("{}: latency, ms", report.mode), &points)
}

/// Draws what a reply costs over the size of the networks.
fn cost(reports: &[Report]) -> String {
    let mut points: Vec<_> = reports
        .iter()
        .filter_map(|report| {
            let members = report.parameter("members of each")?;
            Some((members.log10(), report.parameter(COST)?, format!("{members}")))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    draw("server CPU per reply, µs, over members of the network", &points)
}

/// Draws points (x, y, label of x) and the line through them; y begins at 0.
fn draw(title: &str, points: &[(f64, f64, String)]) -> String {
    let smallest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    let (left, right) =
        (smallest(&mut points.iter().map(|point| point.0)), largest(&mut points.iter().map(|point| point.0)));
    let top = largest(&mut points.iter().map(|point| point.1)).max(f64::MIN_POSITIVE);
    let x =
        |value: f64| MARGIN + (value - left) / (right - left).max(f64::MIN_POSITIVE) * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - value / top * (HEIGHT - 2.0 * MARGIN);
    let line: Vec<_> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"14\">{title}</text>\n\
         <path d=\"M{MARGIN} {MARGIN} V{bottom} H{end}\" fill=\"none\" stroke=\"gray\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"steelblue\" stroke-width=\"2\"/>\n",
        line.join(" "),
        bottom = HEIGHT - MARGIN,
        end = WIDTH - MARGIN,
    );
    for (at, value, label) in points {
        // Writing to a string cannot fail.
        writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"steelblue\"/>\
             <text x=\"{x:.1}\" y=\"{above:.1}\" text-anchor=\"middle\">{value:.2}</text>\
             <text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>",
            x = x(*at),
            y = y(*value),
            above = y(*value) - 8.0,
            below = HEIGHT - MARGIN + 18.0,
        )
        .unwrap_or(());
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_with_its_value() {
        let report = |members: f64, cost: f64| Report {
            parameters: vec![("members of each".into(), members)],
            figures: vec![(COST.into(), cost)],
            ..Report::default()
        };
        let svg = cost(&[report(1_000.0, 11.5), report(100.0, 10.25)]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains(">10.25</text>") && svg.contains(">1000</text>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn one_report_is_drawn_from_its_median_to_its_slowest_answer() {
        let latencies = vec![(1.0, 0.1), (50.0, 0.5), (99.0, 2.0), (100.0, 7.25)];
        let svg = of(&[Report { mode: "steady".into(), latencies, ..Report::default() }]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(
            svg.contains("steady") && svg.contains(">99 %</text>") && svg.contains(">7.25</text>"),
            "{svg}"
        );
    }
}
