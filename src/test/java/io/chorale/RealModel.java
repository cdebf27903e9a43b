package io.chorale;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Marks a test class or method that needs a real base model: the default one, brought as {@code
 * serve} brings it, or what the system property {@code chorale.model} or the environment variable
 * {@code CHORALE_MODEL} names. {@link RealModelFile#path()} is where it lies. Where it cannot be
 * had the test is skipped with one loud line, and {@code .ci/run} fails on any skip.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("realmodel")
@ExtendWith(RealModelFile.class)
public @interface RealModel {}
