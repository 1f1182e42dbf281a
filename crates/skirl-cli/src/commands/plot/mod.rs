//! `skirl plot`: learning curves of runs as a figure.

mod curve;
mod groups;
mod metric;
mod runs;
mod series;

use std::path::{Path, PathBuf};

use skirl_draw::{Axis, Curve, DrawError, Figure, Panel};

use crate::args::{AfterEnd, LogAxes, PlotArgs, Spread, XAxis};
use crate::exit::{ExitStatus, Failure};
use crate::output;
use groups::Group;
use series::Series;

/// Pixels of a PNG to a pixel of 1/96 inch: 288 dots per inch, as journals ask for.
const DENSITY: f64 = 3.0;
const DEFAULT_METRIC: &str = "env_runners/episode_return_mean";

/// Where the figure goes.
enum Target {
    Png(PathBuf),
    Svg(PathBuf),
}

pub(crate) fn run(args: &PlotArgs) -> Result<ExitStatus, Failure> {
    if args.smooth == 0 {
        return Err(Failure::usage("--smooth = 0: must be at least 1"));
    }
    let runs = runs::find(&args.runs)?;
    if args.list {
        metric::names(&runs)?.iter().for_each(|name| output::line(name));
        return Ok(ExitStatus::Success);
    }
    let targets = targets(&args.output)?;
    let metrics = if args.metric.is_empty() { vec![DEFAULT_METRIC.to_owned()] } else { args.metric.clone() };
    let read = series::read_all(&runs, args.x, &metrics)?;
    let mut groups = groups::group(read, args.group_by);
    groups.retain(|group| !group.runs.is_empty());
    let mut figure = figure(args, &metrics, &groups);
    check_log(args.log, &figure)?;
    figure.x = x_axis(args, &mut figure.panels);
    write(&figure, &targets)?;
    report(args, &groups, &targets);
    Ok(ExitStatus::Success)
}

/// The files, checked before anything is read.
fn targets(output: &Path) -> Result<Vec<Target>, Failure> {
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
        return Err(Failure::usage(format!("--output: there is no directory {}", missing.display())));
    }
    if output.is_dir() {
        let example = output.join("curves.svg");
        let problem = format!("--output: {} is a directory, expected a file", output.display());
        return Err(Failure::usage(format!("{problem}\n  help: write for example {}", example.display())));
    }
    let ending = output.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    let with = |ending: &str| PathBuf::from(format!("{}.{ending}", output.display()));
    match ending.as_deref() {
        Some("png") => Ok(vec![Target::Png(output.to_owned())]),
        Some("svg") => Ok(vec![Target::Svg(output.to_owned())]),
        Some("pdf" | "jpg" | "jpeg" | "eps" | "webp" | "html") => Err(Failure::usage(format!(
            "--output: {}: expected a name that ends in .png or .svg, or a name without ending for both",
            output.display()
        ))),
        _ => Ok(vec![Target::Png(with("png")), Target::Svg(with("svg"))]),
    }
}

fn figure(args: &PlotArgs, metrics: &[String], groups: &[Group]) -> Figure {
    let log = matches!(args.log, Some(LogAxes::Y | LogAxes::Xy));
    let panel = |(index, name): (usize, &String)| Panel {
        y: Axis { label: metric::label(name, args.size[1]), log },
        curves: groups.iter().enumerate().map(|(label, group)| curve_of(args, index, label, group)).collect(),
    };
    Figure {
        panels: metrics.iter().enumerate().map(panel).collect(),
        x: Axis::default(),
        labels: groups.iter().map(|group| group.label.clone()).collect(),
        panel_size: args.size,
    }
}

/// The curve of a group, with a remark where some of its runs are longer than it.
fn curve_of(args: &PlotArgs, metric: usize, label: usize, group: &Group) -> Curve {
    let runs: Vec<Vec<(f64, f64)>> = group
        .runs
        .iter()
        .map(|run| curve::smoothed(&run.points[metric], args.smooth))
        .filter(|points| !points.is_empty())
        .collect();
    let samples = curve::together(&runs, args.spread, args.after_end);
    // Equal runs never take equal times, so lengths are compared in steps and iterations only.
    if metric == 0 && args.after_end == AfterEnd::Cut && args.x != XAxis::Seconds {
        remark_on_lengths(group);
    }
    Curve { label, samples }
}

fn remark_on_lengths(group: &Group) {
    let end = |run: &Series| run.points.first().and_then(|points| points.last()).map(|(x, _)| *x);
    let mut ends: Vec<(f64, &Series)> = group.runs.iter().filter_map(|run| Some((end(run)?, run))).collect();
    ends.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (Some((shortest, run)), Some((longest, _))) = (ends.first(), ends.last()) else { return };
    if *shortest < 0.9 * longest {
        output::remark(&format!(
            "{}: ends with its shortest run, {} (at {} of {}); --after-end hold carries last values on",
            group.label,
            run.path.display(),
            crate::number::with_suffix(*shortest),
            crate::number::with_suffix(*longest)
        ));
    }
}

/// Logarithms exist of positive numbers only.
fn check_log(log: Option<LogAxes>, figure: &Figure) -> Result<(), Failure> {
    let (x, y) =
        (matches!(log, Some(LogAxes::X | LogAxes::Xy)), matches!(log, Some(LogAxes::Y | LogAxes::Xy)));
    for panel in &figure.panels {
        for sample in panel.curves.iter().flat_map(|curve| &curve.samples) {
            let wrong = if y && sample.low <= 0.0 { Some((&*panel.y.label, sample.low)) } else { None };
            let wrong = if x && sample.x <= 0.0 { Some(("the x axis", sample.x)) } else { wrong };
            if let Some((axis, value)) = wrong {
                let problem = format!("--log: {axis} has the value {value}, expected values above 0");
                return Err(Failure::usage(format!(
                    "{problem}\n  help: leave --log out, or take the other axis only"
                )));
            }
        }
    }
    Ok(())
}

/// The x axis; long times are told in minutes or hours.
fn x_axis(args: &PlotArgs, panels: &mut [Panel]) -> Axis {
    let log = matches!(args.log, Some(LogAxes::X | LogAxes::Xy));
    let samples = || panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.samples);
    let most = samples().map(|sample| sample.x).fold(0.0, f64::max);
    let (label, unit) = match args.x {
        XAxis::Steps => ("Environment steps", 1.0),
        XAxis::Iterations => ("Training iterations", 1.0),
        XAxis::Seconds if most >= 3.0 * 3600.0 => ("Training time (h)", 3600.0),
        XAxis::Seconds if most >= 300.0 => ("Training time (min)", 60.0),
        XAxis::Seconds => ("Training time (s)", 1.0),
    };
    let samples = panels.iter_mut().flat_map(|panel| &mut panel.curves).flat_map(|curve| &mut curve.samples);
    samples.for_each(|sample| sample.x /= unit);
    Axis { label: label.to_owned(), log }
}

fn write(figure: &Figure, targets: &[Target]) -> Result<(), Failure> {
    for target in targets {
        let (path, bytes) = match target {
            Target::Png(path) => (path, figure.to_png(DENSITY)),
            Target::Svg(path) => (path, figure.to_svg().map(String::into_bytes)),
        };
        let bytes = bytes.map_err(|error| match error {
            DrawError::BadSize { .. } => Failure::usage(format!("--size: {error}")),
            error => Failure { status: ExitStatus::Failed, message: error.to_string() },
        })?;
        std::fs::write(path, bytes).map_err(|error| Failure {
            status: ExitStatus::Failed,
            message: format!("could not write {}: {error}", path.display()),
        })?;
    }
    Ok(())
}

/// What the figure shows, one line for each curve, and where it is.
fn report(args: &PlotArgs, groups: &[Group], targets: &[Target]) {
    for group in groups {
        output::line(&group.label);
    }
    if groups.iter().any(|group| group.runs.len() > 1) {
        let band = match args.spread {
            Spread::MinMax => ", band: smallest and largest",
            Spread::Quartiles => ", band: quartiles",
            Spread::None => "",
        };
        output::line(&format!("line: median of the runs{band}"));
    }
    for target in targets {
        let (Target::Png(path) | Target::Svg(path)) = target;
        output::line(&format!("figure: {}", path.display()));
    }
}
