//! `skirl explain`: the plan before the first step, and the options in words.

use skirl::config::{AlgorithmConfig, help};

use crate::args::ExplainArgs;
use crate::config_source;
use crate::exit::{ExitStatus, Failure};
use crate::flow::wrap;
use crate::number::measured;
use crate::output::{self, line_width};
use crate::progress::terminal_width;

pub(crate) fn run(args: &ExplainArgs) -> Result<ExitStatus, Failure> {
    if let Some(section) = &args.options {
        return options(args.source.run.as_deref(), section);
    }
    let configured = config_source::read(&args.source)?;
    let plan = skirl::plan::explain(&*configured.config).map_err(|error| Failure::at_start(&error))?;
    if args.json {
        output::line(&format!("{:#}", plan.to_value()));
        return Ok(ExitStatus::Success);
    }
    for remark in configured.remarks {
        output::remark(&remark);
    }
    let text = plan.to_string() + &saving(&*configured.config);
    for line in text.lines().flat_map(|line| wrap(line, LABEL, line_width())) {
        output::line(&line);
    }
    Ok(ExitStatus::Success)
}

/// Characters of the first column of a plan.
const LABEL: usize = 13;

/// When the run ends, and when its state is saved.
fn saving(config: &dyn AlgorithmConfig) -> String {
    let criteria =
        config.stop().0.iter().map(|(metric, minimum)| format!("{metric} ≥ {}", measured(*minimum)));
    let criteria: Vec<String> = criteria.collect();
    let stop = if criteria.is_empty() { "never by itself".to_owned() } else { criteria.join(" or ") };
    let options = &config.common().checkpointing;
    let every = match options.checkpoint_frequency {
        0 => None,
        1 => Some("every iteration".to_owned()),
        many => Some(format!("every {many} iterations")),
    };
    let end = options.checkpoint_at_end.then(|| "at the end".to_owned());
    let when: Vec<String> = every.into_iter().chain(end).collect();
    let when = if when.is_empty() { "never".to_owned() } else { when.join(" and ") };
    format!("stops        {stop}\ncheckpoints  {when}\n")
}

/// Help on the options of a section, or of all.
pub(crate) fn options(algorithm: Option<&str>, section: &str) -> Result<ExitStatus, Failure> {
    let section = (!section.is_empty()).then_some(section);
    let text = help(algorithm.unwrap_or("PPO"), section, terminal_width())?;
    output::line(text.trim_end());
    Ok(ExitStatus::Success)
}
