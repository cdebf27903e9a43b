package io.chorale.tensor;

/**
 * JavaCPP's own memory ceilings, which must be off: the default is four times the Java heap of
 * resident memory, so a 4-bit model beside a small heap would die, and reading it makes each
 * allocation 2.3 times dearer.
 */
public final class NativeLimits {
  private static final String[] PROPERTIES = {
    "org.bytedeco.javacpp.maxPhysicalBytes", "org.bytedeco.javacpp.maxBytes"
  };

  private NativeLimits() {}

  /**
   * @throws IllegalStateException naming the property that is not 0
   */
  public static void check() {
    for (String property : PROPERTIES) {
      String value = System.getProperty(property);
      if (!"0".equals(value)) {
        throw new IllegalStateException(
            "system property %s is %s, wanted 0: start through ./chorale or pass -D%s=0"
                .formatted(property, value, property));
      }
    }
  }
}
