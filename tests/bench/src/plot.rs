//! The figures as pictures (SVG): ratios as bars, and how cost grows with the number of keys.

use crate::report::Comparison;
use crate::suite::GROWTH_ROWS;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const FONT: (&str, i32) = ("sans-serif", 13);
const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 110, 30), RGBColor(70, 150, 70), RGBColor(130, 100, 180)];

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A bar for each row: how many times faster than the best peer.
pub fn ratios(path: &Path, title: &str, rows: &[(String, f64)]) -> Outcome {
    let height = 70 + 22 * rows.len() as u32;
    let root = SVGBackend::new(path, (860, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = rows.iter().fold(4.0, |most: f64, (_, ratio)| most.max(*ratio)) * 1.3;
    let least = rows.iter().fold(0.5, |least: f64, (_, ratio)| least.min(*ratio)) / 1.2;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 190)
        .set_label_area_size(LabelAreaPosition::Bottom, 25)
        .build_cartesian_2d((least..most).log_scale(), (rows.len() as f64)..0.0)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().x_label_style(FONT).draw()?;
    chart.draw_series(rows.iter().enumerate().map(|(at, (_, ratio))| {
        let colour = if *ratio >= 1.0 { COLOURS[0] } else { COLOURS[1] };
        Rectangle::new([(1.0, at as f64 + 0.15), (*ratio, at as f64 + 0.85)], colour.filled())
    }))?;
    chart.draw_series(rows.iter().enumerate().map(|(at, (_, ratio))| {
        Text::new(format!(" {ratio:.2}"), (ratio.max(1.0), at as f64 + 0.2), FONT.into_font())
    }))?;
    chart.draw_series([PathElement::new(vec![(1.0, 0.0), (1.0, rows.len() as f64)], BLACK)])?;
    for (at, (row, _)) in rows.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(1.0, at as f64 + 0.2));
        root.draw(&Text::new(row.clone(), (12, y), FONT.into_font()))?;
    }
    Ok(root.present()?)
}

/// A panel for each row of [`GROWTH_ROWS`]: microseconds an operation by the number of keys, a line an engine.
pub fn growth(path: &Path, points: &[&Comparison]) -> Outcome {
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    for (panel, row) in root.split_evenly((2, 3)).iter().zip(GROWTH_ROWS) {
        growth_panel(panel, row, points)?;
    }
    Ok(root.present()?)
}

fn growth_panel(panel: &DrawingArea<SVGBackend<'_>, Shift>, row: &str, points: &[&Comparison]) -> Outcome {
    let Some(first) = points.first() else { return Ok(()) };
    let names = first.engine_names();
    let lines: Vec<Vec<(f64, f64)>> = (0..names.len())
        .map(|engine| {
            let micros = |point: &&Comparison| Some((point.keys() as f64, point.micros(engine, row)?));
            points.iter().filter_map(micros).collect()
        })
        .collect();
    let all = || lines.iter().flatten();
    let (least, most) =
        all().fold((f64::MAX, f64::MIN), |(least, most), (_, y)| (least.min(*y), most.max(*y)));
    if least > most {
        return Ok(());
    }
    let keys = points.iter().map(|point| point.keys() as f64);
    let (fewest, largest) = keys.fold((f64::MAX, f64::MIN), |(a, b), keys| (a.min(keys), b.max(keys)));
    let mut chart = ChartBuilder::on(panel)
        .caption(title_of(row), FONT)
        .margin(8)
        .set_label_area_size(LabelAreaPosition::Left, 55)
        .set_label_area_size(LabelAreaPosition::Bottom, 30)
        .build_cartesian_2d(
            (fewest / 1.5..largest * 1.5).log_scale(),
            (least / 1.5..most * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_label_formatter(&|keys| match *keys {
            keys if keys >= 1e6 => format!("{}M", keys / 1e6),
            keys => format!("{}k", keys / 1e3),
        })
        .x_labels(4)
        .y_labels(5)
        .draw()?;
    for (engine, line) in lines.iter().enumerate() {
        let colour = COLOURS[engine % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?
            .label(names[engine].clone())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 15, y)], colour.stroke_width(2)));
        chart.draw_series(line.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn title_of(row: &str) -> &str {
    match row {
        "fillrandom" => "put, us by number of keys",
        "readrandom" => "get, us",
        "seekrandom" => "seek and 10 next, us",
        "compact" => "compacting everything, us",
        "reopen" => "opening again (log replayed), us",
        other => other,
    }
}
