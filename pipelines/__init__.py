"""What runs as a job: options, sources, sinks and the pipeline itself."""

import warnings

# Google's libraries, which Beam imports, warn of things to come at every start of every worker.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")
