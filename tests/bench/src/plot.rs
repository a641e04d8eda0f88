//! Plots in SVG, for the README.

use crate::case::GROWTH_ROWS;
use crate::plan::ROWS;
use crate::report::Comparison;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Colours of the engines, in their order in a comparison; the first is that of the subject.
const COLOURS: [RGBColor; 6] = [
    RGBColor(200, 30, 30),
    RGBColor(30, 90, 180),
    RGBColor(0, 150, 136),
    RGBColor(240, 150, 0),
    RGBColor(130, 80, 170),
    RGBColor(110, 110, 110),
];

const WIDTH: u32 = 960;

fn colour(comparison: &Comparison, engine: usize) -> RGBColor {
    let subject = comparison.subject();
    let place = match engine {
        e if e == subject => 0,
        e if e < subject => e + 1,
        e => e,
    };
    COLOURS[place % COLOURS.len()]
}

fn drawn<T, E: std::fmt::Display>(outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| format!("a plot: {error}"))
}

/// Plots, for every row, the time of every engine divided by that of the subject, on a logarithmic scale.
pub fn ratios(comparison: &Comparison) -> Result<String, String> {
    let rows: Vec<&str> = ROWS.into_iter().filter(|row| comparison.ratio(row).is_some()).collect();
    let mut svg = String::new();
    {
        let height = 110 + 22 * rows.len() as u32;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        drawn(root.fill(&WHITE))?;
        ratios_on(comparison, &rows, &root)?;
        drawn(root.present())?;
    }
    Ok(svg)
}

fn ratios_on(
    comparison: &Comparison,
    rows: &[&str],
    root: &DrawingArea<SVGBackend, Shift>,
) -> Result<(), String> {
    let subject = comparison.subject();
    let name = &comparison.engines[subject].name;
    let (left, right) = (0.1_f64, 100.0_f64);
    let top = rows.len() as f64;
    let mut chart = drawn(
        ChartBuilder::on(root)
            .caption(
                format!("Time of an operation, by that of {name} (right of 1: slower; what lies beyond the scale stands at its edge)"),
                ("sans-serif", 18),
            )
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(190)
            .build_cartesian_2d((left..right).log_scale(), 0.0..top),
    )?;
    drawn(
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_label_formatter(&|x| format!("{x}"))
            .draw(),
    )?;
    let place = |row: usize| top - row as f64 - 0.5;
    let (pixels, _) = chart.plotting_area().get_pixel_range();
    for (at, row) in rows.iter().enumerate() {
        let y = chart.plotting_area().map_coordinate(&(1.0, place(at))).1;
        let style = ("sans-serif", 14).into_font().color(&BLACK);
        drawn(root.draw(&Text::new((*row).to_owned(), (pixels.start - 180, y - 7), style)))?;
        let line = [(left, place(at)), (right, place(at))];
        drawn(chart.draw_series([PathElement::new(line, RGBColor(235, 235, 235))]))?;
    }
    drawn(chart.draw_series([PathElement::new([(1.0, 0.0), (1.0, top)], COLOURS[0].stroke_width(2))]))?;
    for engine in (0..comparison.engines.len()).filter(|engine| *engine != subject) {
        let own = colour(comparison, engine);
        let points = rows.iter().enumerate().filter_map(|(at, row)| {
            let ratio = comparison.cell(engine, row)?.micros / comparison.cell(subject, row)?.micros;
            Some(Circle::new((ratio.clamp(left, right), place(at)), 5, own.filled()))
        });
        let series = drawn(chart.draw_series(points))?;
        series
            .label(&comparison.engines[engine].name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, own.filled()));
    }
    drawn(
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 14))
            .draw(),
    )
}

/// Plots how the cost of each row grows with the number of keys; `None` if there is only one size.
pub fn growth(comparisons: &[Comparison]) -> Result<Option<String>, String> {
    let mut sizes: Vec<&Comparison> =
        comparisons.iter().filter(|each| each.plan.profile.name == "growth").collect();
    sizes.sort_by_key(|each| each.plan.num);
    if sizes.len() < 2 {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, 760)).into_drawing_area();
        drawn(root.fill(&WHITE))?;
        let panels = root.split_evenly((3, 3));
        for (row, panel) in GROWTH_ROWS.iter().zip(&panels) {
            growth_of(row, &sizes, panel)?;
        }
        legend(sizes[0], &panels[GROWTH_ROWS.len()])?;
        drawn(root.present())?;
    }
    Ok(Some(svg))
}

fn growth_of(row: &str, sizes: &[&Comparison], panel: &DrawingArea<SVGBackend, Shift>) -> Result<(), String> {
    let per_key = row == "compact";
    let lines: Vec<Vec<(f64, f64)>> = (0..sizes[0].engines.len())
        .map(|engine| {
            let point = |each: &&Comparison| {
                let keys = each.plan.num as f64;
                let micros = each.cell(engine, row)?.micros;
                Some((keys, if per_key { micros / keys } else { micros }))
            };
            sizes.iter().filter_map(point).collect()
        })
        .collect();
    let values = || lines.iter().flatten().map(|point| point.1);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    if high <= 0.0 {
        return Ok(());
    }
    let keys = sizes[0].plan.num as f64..sizes[sizes.len() - 1].plan.num as f64;
    let title = if per_key { format!("{row}, us a key") } else { format!("{row}, us") };
    let mut chart = drawn(
        ChartBuilder::on(panel)
            .caption(title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(62)
            .build_cartesian_2d(keys.log_scale(), (low / 2.0..high * 2.0).log_scale()),
    )?;
    drawn(
        chart
            .configure_mesh()
            .x_labels(4)
            .y_labels(5)
            .x_label_formatter(&|keys| crate::report::keys(*keys))
            .y_label_formatter(&|micros| crate::report::decimal(*micros))
            .light_line_style(TRANSPARENT)
            .draw(),
    )?;
    for (engine, line) in lines.into_iter().enumerate() {
        let own = colour(sizes[0], engine);
        drawn(chart.draw_series(LineSeries::new(line.clone(), own.stroke_width(2))))?;
        drawn(chart.draw_series(line.into_iter().map(|point| Circle::new(point, 4, own.filled()))))?;
    }
    Ok(())
}

fn legend(comparison: &Comparison, panel: &DrawingArea<SVGBackend, Shift>) -> Result<(), String> {
    for (engine, each) in comparison.engines.iter().enumerate() {
        let y = 60 + 26 * engine as i32;
        let own = colour(comparison, engine);
        drawn(panel.draw(&Circle::new((70, y), 5, own.filled())))?;
        let style = ("sans-serif", 15).into_font().color(&BLACK);
        drawn(panel.draw(&Text::new(each.name.clone(), (86, y - 8), style)))?;
    }
    Ok(())
}
