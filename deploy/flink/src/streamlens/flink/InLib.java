package streamlens.flink;

import java.util.List;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsRegistrar;
import org.apache.beam.sdk.util.construction.resources.PipelineResourcesDetector;
import org.apache.beam.sdk.util.construction.resources.PipelineResourcesOptions;

/**
 * For clusters that have this jar in their lib folder: a job brings no jar.
 *
 * <p>Chosen with {@code --pipeline_resources_detector_factory_class=streamlens.flink.InLib}.
 */
public final class InLib implements PipelineResourcesDetector.Factory {

  /** Beam makes one with this. */
  public static InLib create() {
    return new InLib();
  }

  @Override
  public PipelineResourcesDetector getPipelineResourcesDetector() {
    return loader -> List.of();
  }

  /** Makes the job server list the option, since Python sends none that is not listed. */
  public static final class Registrar implements PipelineOptionsRegistrar {

    @Override
    public Iterable<Class<? extends PipelineOptions>> getPipelineOptions() {
      return List.of(PipelineResourcesOptions.class);
    }
  }
}
