package io.chorale.lora;

/**
 * One adaptable module of the base model.
 *
 * @param layer decoder layer from 0; {@link #NO_LAYER} for embedding and head
 */
public record ModuleId(int layer, LoraTarget target) {
  public static final int NO_LAYER = -1;

  public ModuleId {
    if (target.perLayer() != (layer >= 0)) {
      throw new IllegalArgumentException(target + " with layer " + layer);
    }
  }

  public static ModuleId of(LoraTarget target) {
    return new ModuleId(NO_LAYER, target);
  }

  /** Dense index: layer * 7 + target for the repeating ones, then embedding, then head. */
  public int index(int layers) {
    return target.perLayer()
        ? layer * LoraTarget.PER_LAYER + target.ordinal()
        : layers * LoraTarget.PER_LAYER + target.ordinal() - LoraTarget.PER_LAYER;
  }

  /** How many modules a model of so many layers has. */
  public static int count(int layers) {
    return layers * LoraTarget.PER_LAYER + 2;
  }

  @Override
  public String toString() {
    return target.perLayer() ? "layers." + layer + "." + target.modulePath() : target.modulePath();
  }
}
